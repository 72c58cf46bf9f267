"""Disk usage of files and folders."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 512


def disk_usage(*places: Path) -> int:
    """Return the bytes on disk of files and of folders with their contents.

    Hard links to the same file count once. Missing and unreadable entries count as 0.
    """
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
