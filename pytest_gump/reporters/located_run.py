"""A run with the source locations of its steps."""

from __future__ import annotations

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

    def failures(self) -> Iterator[tuple[str, str, int, str]]:
        """Yield title, file, line and text of each failed step, or of a run that failed without one."""
        record = self.record
        name = f"{short(record.workflow)} on {short(record.spec)}"
        failed = [step for step in record.steps.values() if step.status == "failed"]
        for step in failed:
            yield (
                f"{name}: {step.path}",
                *self.location(step.path),
                f"{step.path}: {short(step.reason) or step.outcome}",
            )
        if not failed and record.status != "passed":
            yield name, *self.location(), f"run {record.status}: {short(record.reason) or 'not all steps passed'}"


def short(text: str) -> str:
    """Return text as one line of a CI report."""
    return one_line(text, REASON_CHARS)
