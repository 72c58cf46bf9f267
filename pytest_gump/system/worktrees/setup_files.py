"""Distinguishes the files that setup created in a slot from later files, without reading them.

The stamp of a file contains its inode and its ctime, which programs cannot set. Equal stamps mean equal content.
Comparing 50,000 files takes 0.3 s. A copy to restore them from would double their disk usage.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Stamps = dict[str, list[int]]
"""Stamps by path relative to the slot. The stamp of a folder is only its type. Its entries have their own stamps."""


def stamps(root: str, tops: Iterable[str]) -> Stamps:
    """Return the stamps of all entries at and below `tops`. Missing and unreadable entries have no stamp."""
    found: Stamps = {}
    waiting = [top for top in tops if top]
    while waiting:
        path = waiting.pop()
        try:
            status = os.lstat(f"{root}/{path}")
            if not stat.S_ISDIR(status.st_mode):
                found[path] = _stamp(status)
                continue
            found[path] = [stat.S_IFMT(status.st_mode)]
            with os.scandir(f"{root}/{path}") as entries:
                for entry in entries:
                    inner = f"{path}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(inner)
                    else:
                        found[inner] = _stamp(entry.stat(follow_symlinks=False))
        except OSError:
            continue
    return found


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def added(before: Stamps, now: Stamps) -> list[str]:
    """Return the paths that were added. For a new folder, this is only the folder itself."""
    new = now.keys() - before.keys()
    return sorted(path for path in new if path.rpartition("/")[0] not in new)


def changed(before: Stamps, now: Stamps) -> list[str]:
    """Return the paths that are missing or were replaced."""
    return sorted(path for path, stamp in before.items() if now.get(path) != stamp)


def to_bytes(found: Stamps) -> bytes:
    return json.dumps(found).encode()


def from_bytes(data: bytes) -> Stamps:
    """Return the stamps that `to_bytes` wrote; empty if the data is incomplete or invalid."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
