"""The private index of a slot: what is known of the file, and what its bytes tell without asking git."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.sweep import Sweep

_GITLINK_MODE: Final = b"\0\0\xe0\0"
_WHOLE_NAMES: Final = (2, 3)
"""Versions of the format that write every path in full."""

_Stamp = tuple[int, int, int]


class SlotIndex:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: tuple[_Stamp | None, str] = (None, "")
        self._linked: tuple[_Stamp | None, bool] = (None, False)

    def _stamp(self) -> _Stamp | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def remember(self, tree: str) -> None:
        """Note that the file, as it is now, holds exactly this tree."""
        self._held = self._stamp(), tree

    @property
    def tree(self) -> str | None:
        """The tree that the file holds; None when that is not known."""
        stamp, tree = self._held
        return tree if stamp is not None and stamp == self._stamp() else None

    @property
    def may_hold_submodules(self) -> bool:
        stamp = self._stamp()
        if stamp is None:
            return False
        if self._linked[0] != stamp:
            self._linked = stamp, _GITLINK_MODE in self.path.read_bytes()
        return self._linked[1]

    def covers(self, found: Sweep) -> bool:
        """Whether no file was found but those of the index, and nothing odd; False when that cannot be told.

        To be asked when every entry has its file: then as many files as entries means that there are no others.
        Entries below folders that were not entered would spoil the count, so their names may not occur.
        """
        empty = any(count == 0 for folder, count in found.folders.items() if folder)
        if empty or found.nested or found.special or found.unreadable or self.may_hold_submodules:
            return False
        data = self.path.read_bytes()
        if data[:4] != b"DIRC" or int.from_bytes(data[4:8], "big") not in _WHOLE_NAMES:
            return False
        if int.from_bytes(data[8:12], "big") != found.files:
            return False
        names = {posixpath.basename(path) for path in found.pruned}
        return not any(os.fsencode(name) + b"/" in data for name in names)
