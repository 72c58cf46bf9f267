"""What a run starts from: a commit that is named, HEAD, or HEAD with the checkout's uncommitted changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_gump.errors import RunError, WorktreeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_gump.system.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Base:
    commit: str
    ref: str
    dirty_base: str | None = None
    """HEAD at the start, when `commit` holds the checkout's uncommitted changes on top of it."""


def find_base(config: pytest.Config, repository: Repository, run_id: str) -> Base:
    ref = config.getoption("gump_base")
    if ref is not None:
        return Base(repository.resolve(ref), ref)
    head = repository.head()
    if config.getoption("gump_dirty") == "include" and repository.dirty():
        return Base(repository.capture_dirty(run_id), "HEAD", dirty_base=head)
    return Base(head, "HEAD")


def base_of(repository: Repository, run_id: str, header: Mapping[str, Any]) -> Base:
    """The base of a run, by its header.

    Raises:
        RunError: its commit is gone.
    """
    base = str(header.get("base"))
    try:
        repository.tree_of(base)
    except WorktreeError as error:
        message = f"run {run_id} cannot go on: its base {base[:10]} is gone from the repository"
        raise RunError(message, hint="start a new run") from error
    return Base(base, str(header.get("base_ref", "")), header.get("dirty_base"))
