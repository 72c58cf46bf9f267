"""Slots that outlive a run: whoever needs one takes the first that is free, and gives it back for the next run.

A lease is a lock on `<slot>.lease`, which the kernel lets go when its holder ends, however it ends. The file holds
text from lease to return: text in a file without a lock tells that its holder was killed, and may have left processes.
"""

from __future__ import annotations

import fcntl
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from pytest_gump.system.slots import Slots


class SlotPool:
    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held: dict[str, int] = {}

    def lease(self) -> str:
        """Give the name of a slot that nobody else works in; it is ours until `close`, or until we end.

        Raises:
            WorktreeError: the folder of the slots cannot be written.
        """
        return next(name for name in (f"w{number}" for number in count(1)) if self._take(name))

    def close(self) -> None:
        for handle in self._held.values():
            os.ftruncate(handle, 0)
            os.close(handle)
        self._held.clear()

    def _take(self, name: str) -> bool:
        if name in self._held:
            return False
        try:
            self._slots.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._slots.root / f"{name}.lease", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WorktreeError(f"cannot make a worktree in {self._slots.root}: {error.strerror}") from error
        if not _lock(handle):
            os.close(handle)
            return False
        slot = self._slots.slot(name)
        if os.fstat(handle).st_size and _is_lived_in(slot.path):
            os.close(handle)
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._held[name] = handle
        slot.forget()
        return True


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_lived_in(folder: Path) -> bool:
    """Whether a process works there still: its supervisor ends it soon, but not at once."""
    import psutil

    place = os.path.realpath(folder)
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(place):
                return True
        except (psutil.Error, OSError):
            continue
    return False
