"""Locks on files: they go with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def try_lock(handle: int, how: int) -> bool:
    """Lock an open file; False if another process has the lock.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    return True


def lock(handle: int, how: int) -> bool:
    """Lock an open file; where the file system has no locks, everybody gets it."""
    try:
        return try_lock(handle, how)
    except OSError:
        return True


def is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one of that name: it may have been removed while we waited."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
