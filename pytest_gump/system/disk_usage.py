"""How much room files take on the disk."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 512


def disk_usage(*places: Path) -> int:
    """Give the bytes that files and whole folders take; what is not there or cannot be read counts nothing."""
    seen: set[tuple[int, int]] = set()
    waiting = [str(path) for path in places]
    total = 0
    while waiting:
        path = waiting.pop()
        try:
            status = os.lstat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            if status.st_nlink > 1:
                seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * _BLOCK
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(path) as entries:
                    waiting += [entry.path for entry in entries]
        except OSError:
            continue
    return total
