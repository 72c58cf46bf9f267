"""The pool of slots. A process leases the first free slot and returns it for the next run.

A lease is a lock on `<slot>.lease`, which the kernel releases when its holder ends, even if it is killed. While a slot
is leased, the file contains text. Text in an unlocked file means that the holder was killed, or that it could not end
all processes that it started in the slot.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.locks import try_lock
from pytest_gump.system.trash import is_trash

if TYPE_CHECKING:
    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.slots import Slots

_LEASE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ROUNDS: Final = 3


class SlotPool:
    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._leases: dict[str, int] = {}
        self._suspect: set[str] = set()

    def lease(self) -> str:
        """Lease a free slot, until `close` or the end of this process. Return its name.

        Raises:
            WorktreeError: The folder of the slots cannot be written.
        """
        return next(name for name in (f"w{number}" for number in count(1)) if self._take(name))

    def holds(self, name: str) -> bool:
        """True if this process still has the lease of a slot. A lease whose file was removed is renewed.

        Return False if another process has leased the slot meanwhile.

        Raises:
            WorktreeError: The folder of the slots cannot be written.
        """
        handle = self._leases.get(name)
        if handle is None:
            return False
        if _is_still(handle, self._slots.folder.renew(), _lease(name)):
            return True
        os.close(self._leases.pop(name))
        return self._take(name)

    def mark_suspect(self, name: str) -> None:
        """Record that processes may still be running in a leased slot. They are checked for before its next lease."""
        self._suspect.add(name)

    def close(self) -> None:
        for name, handle in self._leases.items():
            if name not in self._suspect:
                with contextlib.suppress(OSError):  # the next process that leases the slot checks for processes in it
                    os.ftruncate(handle, 0)
            os.close(handle)
        self._leases.clear()
        self._suspect.clear()

    def retire(self, name: str) -> bool:
        """Remove a slot and its lease. Return False if the slot is in use.

        Raises:
            WorktreeError: The folder of the slots cannot be written.
            OSError: A part of the slot cannot be removed.
        """
        handle = self._lock(name)
        if handle is None:
            return False
        root = self._slots.folder.directory
        try:
            self._slots.slot(name).discard()
            for entry in root.entries():
                if is_trash(entry, name) or entry.startswith(f"{name}.index"):
                    root.remove(entry)
            root.remove(_lease(name))  # a process that waits for its lock checks that it still exists
        finally:
            os.close(handle)
        return True

    def _take(self, name: str) -> bool:
        handle = None if name in self._leases else self._lock(name)
        if handle is None:
            return False
        try:
            self._slots.slot(name).forget()
        except OSError:  # an agent left files that we cannot change, so the slot is unusable
            os.close(handle)
            return False
        self._leases[name] = handle
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise self._failure(error) from error
        return True

    def _failure(self, error: OSError) -> WorktreeError:
        return WorktreeError(f"cannot create a worktree in {self._slots.root}: {error.strerror}")

    def _lock(self, name: str) -> int | None:
        """Lock the slot's lease. Return None if another process has it or runs in the slot."""
        root = self._slots.folder.renew()
        try:
            handle = _open_lease(root, _lease(name))
        except OSError as error:
            if isinstance(error, PermissionError) and root.status(_lease(name)) is not None:
                return None  # an agent changed its permissions
            raise self._failure(error) from error
        try:
            is_ours = try_lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise WorktreeError(
                f"cannot lock a worktree in {self._slots.root}: {error.strerror}",
                hint="set gump_worktrees to a folder on a local disk",
            ) from error
        if is_ours and _is_still(handle, root, _lease(name)):
            in_use = os.fstat(handle).st_size > 0 and has_process_in(self._slots.slot(name).path)
            if not in_use:
                return handle
        os.close(handle)
        return None


def _lease(name: str) -> str:
    return f"{name}.lease"


def _open_lease(root: Directory, name: str) -> int:
    """Open a lease file, created if missing. Anything else in its place, such as a link, is removed."""
    for _ in range(_ROUNDS):
        with contextlib.suppress(FileExistsError):
            os.close(root.create(name))
        try:
            handle = os.open(name, _LEASE, dir_fd=root.descriptor)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.EISDIR, errno.ENOENT, errno.ENXIO}:
                raise
        else:
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                return handle
            os.close(handle)
        root.put_aside(name)
    raise OSError(errno.EEXIST, "a lease file was replaced", name)


def _is_still(handle: int, root: Directory, name: str) -> bool:
    """True if the locked file still has its name. Another process may have removed it before it was locked."""
    status = root.status(name)
    return status is not None and os.path.samestat(os.fstat(handle), status)


def is_leased(lease: Path) -> bool:
    """True if a process has this lease. The check does not lease the slot."""
    try:
        handle = os.open(lease, _LEASE)
    except OSError:  # the caller notices if the lease cannot be removed
        return False
    try:
        return not try_lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # unknown
        return True
    finally:
        os.close(handle)


def has_process_in(folder: Path) -> bool:
    """True if the working folder of a process is in `folder`.

    After a session was killed, its supervisor needs a moment to end the processes in its slots.
    """
    import psutil

    top = os.path.realpath(folder)
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(top):
                return True
        except (psutil.Error, OSError):
            continue
    return False
