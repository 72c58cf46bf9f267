"""What a person sees before approving an attempt: the change, the cost, and the changed configuration of gates."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.checks.bounds import gate_config
from pytest_gump.text import listed, one_line, visible
from pytest_gump.units import format_duration, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.record.approvals import Question
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.order import AttemptResult
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.system.git.repository import Repository

MOST_FILES: Final = 20
MOST_LINES: Final = 1000


def describe_question(question: Question, record: RunRecord, repository: Repository) -> list[str]:
    """Return the lines about an attempt that waits for approval.

    Raises:
        WorktreeError: git can no longer compare the commits.
    """
    changed = repository.changed(question.base, question.commit)
    head = f"{question.about} waits for approval of {question.commit[:10]}{question.until}"
    lines = [head, *_handed_over(question, record)]
    if "diff" in question.show:
        lines += _files(changed)
    if "changed_config" in question.show and (read := gate_config(file.path for file in changed)):
        lines.append(f"changed what gates read: {listed(read)}")
    if "cost" in question.show:
        lines.append(f"cost of the run so far: {record.total.cost_text}, {format_duration(record.duration_s)}")
    return lines


def diff_lines(question: Question, repository: Repository) -> list[str]:
    """Return the start of the diff to approve."""
    lines = visible_diff(repository, question.base, question.commit)
    shown, rest = [*islice(lines, MOST_LINES)] or ["no changed files"], sum(1 for _ in lines)
    return [*shown, f"... {plural(rest, 'more line')}: gump diff shows all of them ..."] if rest else shown


def visible_diff(repository: Repository, old: str, new: str) -> Iterator[str]:
    """Yield the lines of a diff for a terminal: nothing is hidden, and nothing controls the terminal."""
    with tempfile.TemporaryDirectory(prefix="gump-diff-") as folder:
        patch = Path(folder, "diff.patch")
        repository.diff(old, new, patch)
        with patch.open(encoding="utf-8", errors="replace", newline="\n") as file:
            yield from (visible(line.rstrip("\n")) for line in file)


def person(repository: Repository) -> str:
    """Return the user's name and email from git; empty if git has none."""
    identity = repository.identity()
    return "" if identity is None else identity.author.rpartition(">")[0] + ">"


def _handed_over(question: Question, record: RunRecord) -> Iterator[str]:
    step = record.steps.get(question.about)
    attempt = None if step is None else step.newest_valid
    if attempt is not None and attempt.result is not None:
        yield from handed_over(attempt.result)


def handed_over(result: AttemptResult) -> Iterator[str]:
    """Yield lines with the plan, the verdict or the text of an attempt, or why it changed nothing."""
    if result.no_change:
        yield visible(f"no change: {result.no_change}")
    for item in result.plan or ():
        files = f" ({listed(item.files)})" if item.files else ""
        yield visible(f"- {item.name}{files}: {item.description}".removesuffix(": "))
    if result.verdict is not None:
        yield visible(f"{'pass' if result.verdict.passed else 'no pass'}: {result.verdict.comment}")
    if result.artifact is not None:
        yield visible(result.artifact)


def _files(changed: Sequence[ChangedFile]) -> Iterator[str]:
    added, removed = (sum(getattr(file, name) or 0 for file in changed) for name in ("added", "removed"))
    yield f"{plural(len(changed), 'changed file')}, +{added} -{removed} lines" if changed else "no changed files"
    for file in changed[:MOST_FILES]:
        counts = "binary" if file.added is None else f"+{file.added} -{file.removed or 0}"
        yield f"  {one_line(file.path)}  {counts}"
    if len(changed) > MOST_FILES:
        yield f"  and {plural(len(changed) - MOST_FILES, 'more file')}"
