"""The folder of one slot, which pytest-gump created and accesses through its descriptor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.directory import OURS, Directory
from pytest_gump.system.mounts import mounts_in
from pytest_gump.system.trash import trash_name

if TYPE_CHECKING:
    from pytest_gump.system.worktrees.root import SlotRoot

HANDOVER: Final = ".gump/out"
"""Folder for the output files of agents. It is not part of snapshots."""


class SlotLost(WorktreeError):  # noqa: N818 - describes the slot
    """The folder of a slot was removed or replaced. Its path must not be used."""


class SlotFolder:
    def __init__(self, root: SlotRoot, name: str) -> None:
        self._root = root
        self._name = name
        self._path = root.path / name
        self._record = f"{name}.folder"
        self._directory: Directory | None = None

    def open(self) -> bool:
        """Open the slot's folder. Return True if it is the one that pytest-gump created."""
        root = self._root.renew()
        if self._directory is None:
            self._directory = self._adopted(root)
        return self._is_there() and not mounts_in(self._path)

    @property
    def directory(self) -> Directory:
        """The folder that pytest-gump created.

        Raises:
            SlotLost: The folder was removed or replaced, or a file system is mounted in it.
        """
        lost = self.lost
        if lost is not None or self._directory is None:
            raise lost or self._lost()
        if not os.access(self._directory.access, os.R_OK | os.W_OK | os.X_OK):
            os.fchmod(self._directory.descriptor, OURS)
        return self._directory

    @property
    def lost(self) -> SlotLost | None:
        """An error if the folder was removed or replaced, or if a file system is mounted in it; otherwise None."""
        if not self._is_there():
            return self._lost()
        mounted = mounts_in(self._path)
        return SlotLost(f"a file system is mounted in the worktree, at {mounted[0]}") if mounted else None

    def _is_there(self) -> bool:
        return self._directory is not None and self._directory.is_there

    def _lost(self) -> SlotLost:
        return SlotLost(f"the worktree {self._path} was removed or replaced")

    def check(self) -> None:
        """Check that the folder still exists.

        Raises:
            SlotLost: As for `directory`.
        """
        _ = self.directory

    def make(self) -> Directory:
        """Create the folder. Its path must be free."""
        root = self._root.directory
        os.mkdir(self._name, OURS, dir_fd=root.descriptor)
        self._directory = folder = root.folder(self._name)
        root.write(self._record, _identity(folder))
        return folder

    def discard(self) -> None:
        """Remove the folder. If another program created it, or if it cannot be removed, rename it."""
        root = self._root.directory
        folder, self._directory = self._directory or self._adopted(root), None
        status = root.status(self._name)
        is_ours = folder is not None and status is not None and (status.st_dev, status.st_ino) == folder.identity
        if not is_ours:
            root.put_aside(self._name)
        else:
            try:
                root.remove(self._name)
            except OSError:  # it contains files that we may not delete; `gump gc` retries
                root.move(self._name, root, trash_name(self._name))
        root.put_aside(self._record)

    def _adopted(self, root: Directory) -> Directory | None:
        """Return the folder that an earlier process created, if its record matches; otherwise None."""
        try:
            found = root.folder(self._name)
        except OSError:
            return None
        known = root.read(self._record)
        if known is None and root.read(f"{self._name}.index") is not None:  # created by an older version
            root.write(self._record, _identity(found))
            root.remove(f"{self._name}.index")
        elif known != _identity(found):
            return None
        os.fchmod(found.descriptor, OURS)
        return found


def _identity(directory: Directory) -> bytes:
    return b"%d %d\n" % directory.identity
