"""Slots that outlive a run: whoever needs one takes the first that is free, and gives it back for the next run.

A lease is a lock on `<slot>.lease`, which the kernel lets go when its holder ends, however it ends. The file holds
text from lease to return: text in a file without a lock tells that its holder was killed, or could not end everything
that it had started there.
"""

from __future__ import annotations

import fcntl
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.locks import is_still

if TYPE_CHECKING:
    from pytest_gump.system.slots import Slots


class SlotPool:
    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held: dict[str, int] = {}
        self._doubted: set[str] = set()

    def lease(self) -> str:
        """Give the name of a slot that nobody else works in; it is ours until `close`, or until we end.

        Raises:
            WorktreeError: the folder of the slots cannot be written.
        """
        return next(name for name in (f"w{number}" for number in count(1)) if self._take(name))

    def doubt(self, name: str) -> None:
        """Leave word that something may live in a slot of ours: whoever takes it next will look."""
        self._doubted.add(name)

    def close(self) -> None:
        for name, handle in self._held.items():
            if name not in self._doubted:
                os.ftruncate(handle, 0)
            os.close(handle)
        self._held.clear()
        self._doubted.clear()

    def retire(self, name: str) -> bool:
        """Remove a slot for good, its lease with it; False when somebody works in it.

        Raises:
            WorktreeError: the folder of the slots cannot be written.
            OSError: something of it could not be removed.
        """
        handle = self._lock(name)
        if handle is None:
            return False
        try:
            self._slots.slot(name).discard()
            for place in (self._slots.root / f"{name}.index.lock", *self._slots.root.glob(f".trash-{name}-*")):
                files.remove(place)
            self._path(name).unlink(missing_ok=True)  # whoever waits for this file will see that it is gone
        finally:
            os.close(handle)
        return True

    def _take(self, name: str) -> bool:
        handle = None if name in self._held else self._lock(name)
        if handle is None:
            return False
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._held[name] = handle
        self._slots.slot(name).forget()
        return True

    def _path(self, name: str) -> Path:
        return self._slots.root / f"{name}.lease"

    def _lock(self, name: str) -> int | None:
        """Lock the slot's lease; None when another process has it, or works in the slot."""
        try:
            self._slots.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WorktreeError(f"cannot make a worktree in {self._slots.root}: {error.strerror}") from error
        try:
            is_ours = _lock(handle)
        except OSError as error:
            os.close(handle)
            raise WorktreeError(
                f"cannot lock a worktree in {self._slots.root}: {error.strerror}",
                hint="set gump_worktrees to a folder on a disk of this machine",
            ) from error
        if is_ours and is_still(handle, self._path(name)):
            in_use = os.fstat(handle).st_size > 0 and is_lived_in(self._slots.slot(name).path)
            if not in_use:
                return handle
        os.close(handle)
        return None


def is_leased(lease: Path) -> bool:
    """Whether a process holds this lease now; takes nothing."""
    try:
        handle = os.open(lease, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # whether it can be removed will be seen
        return False
    try:
        return not _lock(handle)
    except OSError:  # nobody can know
        return True
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_lived_in(folder: Path) -> bool:
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
