"""A run with the source locations of its steps."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.text import one_line
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.system.git.changes import ChangedFile
    from pytest_gump.workflow.loaded import Loaded

REASON_CHARS: Final = 500


class Finding(NamedTuple):
    """A failed step, a failed run, or a step that waits for a person."""

    title: str
    file: str
    line: int
    text: str
    is_failure: bool = True


class LocatedRun(NamedTuple):
    """A run with the source locations of its steps."""

    record: RunRecord
    loaded: Loaded
    root: Path
    changed: Sequence[ChangedFile] | None = None
    """Files that differ between base and head of the run; None if git cannot compare them."""

    def location(self, step: str | None = None) -> tuple[str, int]:
        """Return relative path and line of a step, or of the spec if its workflow is outside the project."""
        path, line = self.loaded.location(StepPath.parse(step).static if step else "")
        if path is None or not path.is_relative_to(self.root):
            return self.record.spec, 1
        return path.relative_to(self.root).as_posix(), line or 1

    def findings(self) -> Iterator[Finding]:
        """Yield the failed steps, or a run that failed without one, and the steps that wait for a person."""
        record = self.record
        name = f"{short(record.workflow)} on {short(record.spec)}"
        failed = [step for step in record.steps.values() if step.status == "failed"]
        for step in failed:
            text = f"{step.path}: {short(step.reason) or step.outcome}"
            yield Finding(f"{name}: {step.path}", *self.location(step.path), text)
        if not failed and record.status not in {"passed", "awaiting"}:
            text = f"run {record.status}: {short(record.reason) or 'not all steps passed'}"
            yield Finding(name, *self.location(), text)
        for step_path, commands in self.to_approve():
            text = f"{step_path} waits for approval: {', then '.join(commands)}"
            yield Finding(f"{name}: {step_path}", *self.location(step_path), text, is_failure=False)

    def to_approve(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield each step that waits for a person, with the commands that approve it and resume the run."""
        run_id = self.record.run_id
        for question in self.record.open_questions:
            approve = f"gump approve {run_id} {shlex.quote(question.about)}"
            yield question.about, (approve, f"pytest --gump-resume={run_id}")


def short(text: str) -> str:
    """Return text as one line of a CI report."""
    return one_line(text, REASON_CHARS)
