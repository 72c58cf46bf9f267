"""Runs for `gump gc`: their status, and why one is still needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.record.run_folder import RUNS, RunFolder
from pytest_gump.engine.record.run_id import by_time, is_run_id
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

STARTING_S: Final = 3600.0
"""Seconds after which a run without a first event no longer counts as starting."""
_NO_START: Final = "it has files of attempts, but its start is not recorded"


@dataclass(frozen=True, slots=True)
class KnownRun:
    folder: RunFolder
    state: str
    """running, starting, unreadable, empty (no work was done), passed, failed, cancelled or interrupted."""
    record: RunRecord
    problem: str = ""
    """Why it cannot be read, if its status is `unreadable`."""

    @property
    def id(self) -> str:
        return self.folder.run_id

    def needed(self, *, force: bool) -> str | None:
        """Return why the run must be kept; None if it can be removed."""
        record = self.record
        if self.state in {"running", "starting"}:
            return f"is {self.state}"
        if self.state == "unreadable":
            return f"cannot be read; remove {self.folder.path} yourself if you do not need it: {self.problem}"
        if force or self.state == "empty" or record.discarded or record.applied is not None:
            return None
        if self.state == "passed":
            return None if record.head == record.base else "passed and was not applied"
        return f"is {self.state} and can be resumed"


def look_at(folder: RunFolder, now: float, *, ours: bool = False) -> KnownRun:
    """Read a run, even if it is just starting and has no ledger yet. For `ours`, see `StoredRun.read`."""
    if not (folder.path / "run.json").is_file():
        return KnownRun(folder, _begun(folder, now), RunRecord(), _NO_START)
    try:
        run = StoredRun.read(folder, results=False, ours=ours)
    except RunError as error:
        return KnownRun(folder, "unreadable", RunRecord(), str(error.args[0]))
    run.record.attempts.clear()  # to save memory: the results of many runs would not fit
    run.record.steps.clear()
    is_known = run.record.has_started or run.state == "running"
    return KnownRun(folder, run.state if is_known else _begun(folder, now), run.record, _NO_START)


def _begun(folder: RunFolder, now: float) -> str:
    try:
        attempted = any(folder.attempts.iterdir())
    except OSError:
        attempted = False
    began = folder.path.stat().st_mtime
    if now - began < STARTING_S:
        return "starting"
    return "unreadable" if attempted else "empty"


def all_known(project: Path, now: float) -> list[KnownRun]:
    """Return the runs of one checkout, newest first, including those without a ledger."""
    runs = project / RUNS
    if not runs.is_dir():
        return []
    found = []
    for path in runs.iterdir():
        if is_run_id(path.name) and path.is_dir() and not path.is_symlink():
            try:
                found.append(look_at(RunFolder(path), now))
            except FileNotFoundError:  # removed since the folder was listed
                continue
    return sorted(found, key=lambda run: by_time(run.id), reverse=True)
