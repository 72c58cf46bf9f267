"""The git index of a slot. Only changes by git commands of this process are trusted.

The index is in a private folder of this process. It is discarded if its file was changed by anything else, because an
index can hide changes (skip-worktree, assume-unchanged, forged times). Every process creates its own index from the
commit and the files.

Reading its bytes saves git processes. Measured 2026-11-29 (`benchmarks/README.md`), for a plan item: 3.3 git processes;
19 without `may_hold_submodules`; 6.4 without `covers`; 7.4 without `may_hold_folders`; 9.6 without `tree`.
"""

from __future__ import annotations

import os
import posixpath
import stat
from typing import TYPE_CHECKING, Final

from pytest_gump.system.worktrees.folder import HANDOVER

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.root import SlotRoot
    from pytest_gump.system.worktrees.sweep import Sweep

_GITLINK_MODE: Final = b"\0\0\xe0\0"
_WHOLE_NAMES: Final = (2, 3)
"""Versions of the format that store every path in full."""

_Stamp = tuple[int, ...]


class SlotIndex:
    def __init__(self, root: SlotRoot, name: str) -> None:
        self._root = root
        self._name = name
        self._written: _Stamp | None = None
        """The stamp of the file after our last git command."""
        self._contents: tuple[_Stamp | None, str] = (None, "")
        self._fixed: tuple[_Stamp | None, bool, bool] = (None, False, False)
        """The stamp of the file, and whether it may contain submodules and files of the agents' output folder.
        Snapshots change neither.
        """

    def ready(self) -> Directory:
        """Return the folder of the index, for the next git command. Discard the index if it was changed."""
        folder = self._root.private
        folder.remove(f"{self._name}.lock")  # the slot is leased, so no other process uses the lock
        if not self.exists:
            self.discard()
        return folder

    def path(self, folder: Directory) -> str:
        return f"{folder.access}/{self._name}"

    def note_written(self, *, same_tree: bool = False) -> None:
        """Record the state of the file after a git command. With `same_tree`, the command changed nothing but times."""
        keeps = same_tree and self._written is not None and self._contents[0] == self._written
        self._written = self._stamp()
        if keeps:
            self.remember(self._contents[1])

    def discard(self) -> None:
        self._written = None
        self._root.private.remove(self._name)

    def _stamp(self) -> _Stamp | None:
        """Return the identity of the file. It includes the ctime, which programs cannot set."""
        status = self._root.private.status(self._name)
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    @property
    def exists(self) -> bool:
        """True if the file exists and only our git commands changed it."""
        return self._written is not None and self._stamp() == self._written

    def remember(self, tree: str) -> None:
        """Record that the file currently contains exactly this tree."""
        self._contents = self._written, tree

    @property
    def tree(self) -> str | None:
        """The tree in the file; None if it is unknown."""
        stamp, tree = self._contents
        return tree if stamp is not None and stamp == self._stamp() else None

    def copy_to(self, target: Directory, path: str) -> None:
        """Copy the file with its times, because git rereads files that are not older than the index."""
        source = self._root.private.open_file(self._name)
        with open(source, "rb") as file, open(target.create(path, 0o644), "wb") as out:  # noqa: PTH123
            out.write(file.read())
            out.flush()
            status = os.fstat(source)
            os.utime(out.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))

    @property
    def may_hold_submodules(self) -> bool:
        return self._may_hold_fixed()[0]

    def _may_hold_fixed(self) -> tuple[bool, bool]:
        stamp = self._stamp()
        if stamp is None:
            return False, False
        if self._fixed[0] != stamp:
            self._fixed = stamp, _GITLINK_MODE in self._data(), self._may_name([HANDOVER])
        return self._fixed[1:]

    def covers(self, found: Sweep) -> bool:
        """True if the sweep found only files of the index, and nothing unusual. False if that is unknown.

        Call it only if every entry has its file. Then there are no other files if the numbers of files and entries
        are equal. The numbers cannot be compared, and the result is False, if the index may have

        * entries below folders that the sweep skipped
        * entries in the agents' output folder, which stay after their files are removed
        """
        empty = any(count == 0 for folder, count in found.folders.items() if folder)
        if empty or found.nested or found.special or found.unreadable or any(self._may_hold_fixed()):
            return False
        if self._count() != found.files:
            return False
        return not self.may_hold_folders({posixpath.basename(path) for path in found.pruned})

    def may_hold_folders(self, names: Collection[str]) -> bool:
        """Return False if certainly no entry is in a folder with one of these names, otherwise True."""
        return bool(names) and self._may_name([f"{name}/" for name in names])

    def _may_name(self, texts: Collection[str]) -> bool:
        data = self._data()
        if data[:4] != b"DIRC" or int.from_bytes(data[4:8], "big") not in _WHOLE_NAMES:
            return True
        return any(os.fsencode(text) in data for text in texts)

    def _count(self) -> int:
        """Return the number of entries, from the header."""
        try:
            file = self._root.private.open_file(self._name)
        except OSError:
            return 0
        try:
            return int.from_bytes(os.pread(file, 4, 8), "big")
        finally:
            os.close(file)

    def _data(self) -> bytes:
        return self._root.private.read(self._name) or b""
