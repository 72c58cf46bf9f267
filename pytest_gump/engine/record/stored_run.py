"""Read a run's folder: its header, its events and the record. All other code reads runs through this module."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import DAMAGED, Ledger, is_written, read_ledger
from pytest_gump.engine.record.liveness import is_alive, process_text, run_state
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.system.git.repository import Repository

RESUMABLE: Final = {"interrupted", "failed", "cancelled", "awaiting"}


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run, read from its folder."""

    folder: RunFolder
    header: dict[str, Any]
    events: Sequence[Event] = field(repr=False)
    record: RunRecord
    """Its process id is None from the moment a process locks the run until that process has recorded its start."""
    state: str
    """passed, failed, cancelled, awaiting, running, interrupted."""
    size: int
    """Size of the ledger in bytes just before it was read."""

    @classmethod
    def read(cls, folder: RunFolder, *, results: bool = True, ours: bool = False) -> StoredRun:
        """Read header and ledger.

        Args:
            results: Parse and check the result of each attempt. Lists and sums do not need them.
            ours: This process has locked the run, so no other process works on it.

        Raises:
            RunError: Header or ledger are missing, damaged, or from a newer version.
        """
        header, size = folder.read_header(), _size(folder)
        events = [*read_ledger(folder.ledger)]
        record = _fold(folder, events, results=results)
        state = run_state(record)
        if not ours and _is_about_to_run(folder, record, state):
            record.pid, state = None, "running"
        return cls(folder, header, events, record, state, size)

    @classmethod
    def read_unlocked(cls, folder: RunFolder) -> StoredRun:
        """Read a run. If another process has locked it, wait a moment: the process may be a short command.

        Raises:
            RunError: See `read`.
        """
        run = cls.read(folder)
        if run.state == "running" and run.record.pid is None:
            with suppress(RunError), folder.owned():
                return cls.read(folder, ours=True)
        return run

    def read_on(self) -> StoredRun:
        """Return the current run after this process has locked it: itself if the ledger did not grow.

        Raises:
            RunError: See `read`.
        """
        return self if _size(self.folder) == self.size else StoredRun.read(self.folder, ours=True)

    def refuse_running(self, hint: str) -> None:
        """Refuse a command on a run that is running.

        Raises:
            RunError: The run is running.
        """
        if self.state == "running":
            raise RunError(f"run {self.id} is still running{process_text(self.record)}", hint=hint)

    @property
    def id(self) -> str:
        return self.folder.run_id

    def ledger(self) -> Ledger:
        """Open the ledger of a finished run, to append the event of a command."""
        return Ledger(self.folder.ledger, time.time)

    def repository(self) -> Repository:
        from pytest_gump.system.git.repository import Repository

        return Repository.open(self.folder.path)


def _size(folder: RunFolder) -> int:
    try:
        return folder.ledger.stat().st_size
    except OSError as error:
        raise RunError(f"cannot read the ledger {folder.ledger}: {error.strerror}", hint=DAMAGED) from error


def _fold(folder: RunFolder, events: Sequence[Event], *, results: bool) -> RunRecord:
    try:
        record = fold(events)
        if results:
            for attempt in record.attempts:
                _ = attempt.result  # raises if it is damaged
    except (AttributeError, KeyError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise RunError(  # an event with an unexpected shape
            f"cannot read the ledger {folder.ledger}: {type(error).__name__}: {error}",
            hint=DAMAGED,
        ) from error
    record.run_id = record.run_id or folder.run_id
    return record


def _is_about_to_run(folder: RunFolder, record: RunRecord, state: str) -> bool:
    """True if a process has locked the run, new or resumed, and has not recorded its start yet."""
    if not record.has_started:
        return is_written(folder.ledger) or folder.is_owned
    return state in RESUMABLE and folder.is_owned and not is_alive(record.pid, record.pid_created)
