"""The ledger and the other files of a running run. They are checked before each event, and restored if they are lost.

If another process removes, replaces or truncates one of these files, the run ends, because its record is incomplete.
The files are restored from memory, so that the run can be inspected, applied and resumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.ledger import Event, Ledger
from pytest_gump.engine.schedule.decision import to_fields
from pytest_gump.errors import RunError, reason_of
from pytest_gump.order import to_wire
from pytest_gump.system.git.ref_names import run_refs
from pytest_gump.workflow.model import VALIDATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.engine.record.records import AttemptRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.schedule.records import Settled, Validated
    from pytest_gump.order import AttemptResult


class Journal:
    lost: str = ""
    """Why the run must end: which of its files was lost first, and whether it could be restored. Empty if none was."""

    def __init__(self, folder: RunFolder, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._ledger = Ledger(folder.ledger, clock)
        self._is_on_disk = True
        self._first_damage = ""

    def append(self, event: str, **fields: Any) -> Event:
        """Write and return one event. If the folder could not be restored, the event is only returned.

        Raises:
            RunError: The event cannot be written, for example on a full disk.
        """
        self.check()
        if not self._is_on_disk:
            return {"event": event, "at": round(self._clock(), 3), **fields}
        return self._ledger.append(event, **fields)

    def check(self) -> str:
        """Check all files, restore lost ones, and return `lost`."""
        damages = [self._ledger.damage(), self._folder.damage()] if self._is_on_disk else []
        if any(damages):
            try:
                self._folder.restore()
                if damages[0]:
                    self._ledger.restore()
            except (OSError, RunError) as error:
                self._is_on_disk = False
                end = f"nothing else can be kept: {reason_of(error)}"
            else:
                end = "lost files were restored from memory, files of earlier attempts may be missing"
            self._first_damage = self._first_damage or damages[0] or damages[1]
            refs = f"its commits are at {run_refs(self._folder.run_id)}/"
            self.lost = f"{self._first_damage} during the run; {refs}; {end}"
        return self.lost

    def close(self) -> None:
        self._ledger.close()


def decision_fields(number: int, settled: Settled, result: AttemptResult, commit: str | None) -> dict[str, Any]:
    """Return the fields of `decided` about one attempt; `number` is its number in the run."""
    return {
        "number": number,
        "verdict": settled.verdict,
        "outcome": settled.outcome,
        "reason": settled.reason or result.reason,
        "why": settled.why,
        "decisions": [to_fields(path, decision) for path, decision in settled.decisions],
        "failed": [str(path) for path in settled.failed],
        "commit": commit,
    }


def validated_fields(validated: Validated | None, record_of: Callable[[str, int], AttemptRecord]) -> dict[str, Any]:
    """Return the field with the decision about an attempt whose last validator has ended; no field if it has not.

    `record_of` returns the record of an attempt by its step and its number in the step.
    """
    if validated is None:
        return {}
    ready, result, commit, settled = validated
    number = record_of(str(ready.path), ready.attempt).number
    gates = [gate for gate in to_wire(result)["gates"] if gate["name"].startswith(f"{VALIDATE}:")]
    return {"validated": {**decision_fields(number, settled, result, commit), "gates": gates}}
