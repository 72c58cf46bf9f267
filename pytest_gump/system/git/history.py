"""How commits follow each other: the chain of a run, and whether a branch holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.system.git.objects import IDENTITY
from pytest_gump.system.git.runner import commit_id

if TYPE_CHECKING:
    from pytest_gump.system.git.repository import Repository

_WITH_MESSAGE: Final = "--format=%H%n%B%x00"


def chain(repository: Repository, base: str, head: str) -> dict[str, str]:
    """Give the commits after `base` up to `head`, the oldest first, along first parents; each with its message."""
    arguments = ("rev-list", "--first-parent", "--reverse", "--no-commit-header", "--encoding=UTF-8", _WITH_MESSAGE)
    listed = repository.objects.check(*arguments, f"{commit_id(base)}..{commit_id(head)}").stdout
    entries = listed.decode("utf-8", "replace").split("\0\n")[:-1]
    return {commit: message for commit, _, message in (entry.partition("\n") for entry in entries)}


def contains(repository: Repository, head: str, commit: str) -> bool:
    """Say whether `commit` is `head` or one of its ancestors; a commit that is gone is not."""
    arguments = ("merge-base", "--is-ancestor", commit_id(commit), commit_id(head))
    return repository.objects.run(*arguments).status == 0


def is_there(repository: Repository, commit: str) -> bool:
    """Say whether the repository still has the commit."""
    return repository.objects.run("cat-file", "-e", f"{commit_id(commit)}^{{commit}}").status == 0


def is_ours(repository: Repository, commit: str) -> bool:
    """True if gump made the commit and nobody amended it since."""
    return repository.objects.check("log", "-1", "--format=%cn <%ce>", commit_id(commit)).line == IDENTITY
