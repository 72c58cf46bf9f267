"""The ledger and the other files of a running run: checked before each event, and restored if they are lost.

If another process removes, replaces or truncates one of these files, the run ends, because its record is incomplete.
The files are restored from memory, so that the run can be inspected, applied and resumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.ledger import Event, Ledger
from pytest_gump.errors import RunError, reason_of
from pytest_gump.system.git.ref_names import run_refs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.engine.record.run_folder import RunFolder


class Journal:
    lost: str = ""
    """Why the run must end, if its files were lost; otherwise empty."""

    def __init__(self, folder: RunFolder, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock
        self._ledger = Ledger(folder.ledger, clock)
        self._is_on_disk = True

    def append(self, event: str, **fields: Any) -> Event:
        """Write and return one event. If the folder could not be restored, the event is only returned.

        Raises:
            RunError: the event cannot be written, for example on a full disk.
        """
        self.check()
        if not self._is_on_disk:
            return {"event": event, "at": round(self._clock(), 3), **fields}
        return self._ledger.append(event, **fields)

    def check(self) -> str:
        """Check that all files are in place, restore missing ones, and return what was lost so far."""
        damages = [self._ledger.damage(), self._folder.damage()] if self._is_on_disk else []
        if any(damages):
            refs = f"its commits are at {run_refs(self._folder.run_id)}/"
            self.lost = f"{damages[0] or damages[1]} during the run; {refs}"
            try:
                self._folder.restore()
                if damages[0]:
                    self._ledger.restore()
            except (OSError, RunError) as error:
                self._is_on_disk = False
                self.lost += f", nothing else can be kept: {reason_of(error)}"
            else:
                self.lost += "; the ledger was restored from memory, files of earlier attempts may be missing"
        return self.lost

    def close(self) -> None:
        self._ledger.close()
