"""Mount points in folders of pytest-gump. Their contents belong to other programs and must not be removed.

A bind mount has the same device and inodes as its source, so comparing devices does not detect it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_ESCAPED: Final = (b" ", b"\t", b"\n", b"\\")


def mounts_in(folder: Path) -> list[str]:
    """Return the mount points at and below a folder, with links resolved; empty if the system has no list (macOS).

    Source: proc(5), `/proc/[pid]/mountinfo`: the fifth field, with space, tab, line break and backslash in octal.
    """
    top = os.fsencode(os.path.realpath(folder))
    begins = _escaped(top)
    points = (_unescaped(line.split(b" ", 5)[4]) for line in _lines("/proc/self/mountinfo") if begins in line)
    return sorted(os.fsdecode(point) for point in points if point == top or point.startswith(top.rstrip(b"/") + b"/"))


def is_same_mount(descriptor: int, other: int) -> bool:
    """True if two open folders are reached through the same mount."""
    if os.fstat(descriptor).st_dev != os.fstat(other).st_dev:
        return False
    return _mount_of(descriptor) == _mount_of(other)


def _mount_of(descriptor: int) -> bytes | None:
    found = (line for line in _lines(f"/proc/self/fdinfo/{descriptor}") if line.startswith(b"mnt_id:"))
    return next(found, None)


def _lines(path: str) -> list[bytes]:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read().splitlines()
    except OSError:
        return []


def _escaped(path: bytes) -> bytes:
    for letter in reversed(_ESCAPED):
        path = path.replace(letter, b"\\%03o" % ord(letter))
    return path


def _unescaped(field: bytes) -> bytes:
    for letter in _ESCAPED:
        field = field.replace(b"\\%03o" % ord(letter), letter)
    return field
