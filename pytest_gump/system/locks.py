"""Locks on files: they go with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lock(handle: int, how: int) -> bool:
    """Take a lock; where the file system has none, everybody gets it."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one of that name: it may have been removed while we waited."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False
