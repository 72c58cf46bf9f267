"""What a person sees before approving an attempt: the change, the cost, and the changed configuration of gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.engine.checks.bounds import gate_config
from pytest_gump.text import listed, one_line
from pytest_gump.units import format_duration, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.record.approvals import Question
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.system.git.repository import Repository

MOST_FILES: Final = 20
DIFF_CHARS: Final = 1_000_000


def describe_question(question: Question, record: RunRecord, repository: Repository) -> list[str]:
    """Return the lines about an attempt that waits for approval.

    Raises:
        WorktreeError: git can no longer compare the commits.
    """
    changed = repository.changed(question.base, question.commit)
    lines = [f"{question.step} waits for approval of {question.commit[:10]}"]
    if "diff" in question.show:
        lines += _files(changed)
    if "changed_config" in question.show and (read := gate_config(file.path for file in changed)):
        lines.append(f"changed what gates read: {listed(read)}")
    if "cost" in question.show:
        lines.append(f"cost of the run so far: {record.total.cost_text}, {format_duration(record.duration_s)}")
    return lines


def diff_lines(question: Question, repository: Repository) -> list[str]:
    """Return the diff to approve, without its middle if it is very long."""
    return repository.diff_text(question.base, question.commit, DIFF_CHARS).splitlines()


def person(repository: Repository) -> str | None:
    """Return the user's name and email from git; None if git has none."""
    identity = repository.identity()
    return None if identity is None else identity.author.rpartition(">")[0] + ">"


def _files(changed: Sequence[ChangedFile]) -> Iterator[str]:
    added, removed = (sum(getattr(file, name) or 0 for file in changed) for name in ("added", "removed"))
    yield f"{plural(len(changed), 'changed file')}, +{added} -{removed} lines" if changed else "no changed files"
    for file in changed[:MOST_FILES]:
        counts = "binary" if file.added is None else f"+{file.added} -{file.removed or 0}"
        yield f"  {one_line(file.path)}  {counts}"
    if len(changed) > MOST_FILES:
        yield f"  and {plural(len(changed) - MOST_FILES, 'more file')}"
