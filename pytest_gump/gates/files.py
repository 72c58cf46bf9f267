"""Read files that an agent left, without following where they point."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2 * 1024 * 1024


def read_regular(worktree: Path, name: str, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """Content of a regular file; None for anything else: a link (also on the way to it), a FIFO, too large, gone."""
    folder = os.open(worktree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *parents, last = name.split("/")
        for parent in parents:
            inner = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        return _read(folder, last, max_bytes)
    except (OSError, ValueError):
        return None
    finally:
        os.close(folder)


def _read(folder: int, name: str, max_bytes: int) -> bytes | None:
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read() if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes else None
