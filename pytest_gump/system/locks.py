"""Locks on files. The system releases them when the process ends, even if it is killed."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def try_lock(handle: int, how: int) -> bool:
    """Lock an open file. Return False if another process has the lock.

    Raises:
        OSError: The file system does not support locks.
    """
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    return True


def lock(handle: int, how: int) -> bool:
    """Lock an open file. If the file system does not support locks, return True without a lock."""
    try:
        return try_lock(handle, how)
    except OSError:
        return True


def is_still(handle: int, path: Path) -> bool:
    """True if the path still names the open file, which may be removed while a process waits for its lock."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
