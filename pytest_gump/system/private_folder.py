"""Folders that only the user can read: created with 0700, or refused with the reason."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.directory import ASIDE, FOLDER, OURS, Directory, open_folder, open_regular
from pytest_gump.system.mounts import mounts_in

_HINT: Final = "set gump_worktrees or XDG_CACHE_HOME to a folder of your own"
_GROUP: Final = 0o020
_OTHERS: Final = 0o002


class PrivateFolder:
    """A folder that pytest-gump creates, perhaps with some of its parents, below a folder of the user."""

    def __init__(self, path: Path, *, ours: int) -> None:
        """Create nothing yet.

        Args:
            path: The folder.
            ours: Number of components at the end of the path that pytest-gump creates.
        """
        self.path = path
        self._ours = ours
        self._base: str | None = None
        self._directory: Directory | None = None
        self._has_been_open = False
        self._mounts: list[str] = []
        """Mount points at and below the user's folder when it was first opened."""

    @property
    def directory(self) -> Directory:
        """The folder that was first opened, even if its path now names another one.

        Raises:
            WorktreeError: The folder cannot be created, is a link or belongs to another user, or other users can write
                to its parent.
        """
        if self._directory is None:
            self._directory = self._open()
        return self._directory

    def renew(self) -> Directory:
        """Return the folder with mode 0700. Open or create it again if its path no longer names it."""
        if self._directory is not None and not self._directory.is_there:
            self._directory = None
        _close(self.directory.descriptor, OURS)
        return self.directory

    def existing(self) -> Directory | None:
        """Return the folder; None if it does not exist."""
        return self.renew() if os.path.lexists(self.path) else None

    def _open(self) -> Directory:
        parts = self.path.parts
        try:
            current = self._open_base(str(Path(*parts[: -self._ours])))
            for number, name in enumerate(parts[-self._ours :], len(parts) - self._ours + 1):
                if self._has_been_open:  # our folder was replaced, and not by the user's choice
                    _clear(current, name)
                inner = _enter(current, name, Path(*parts[:number]))
                os.close(current)
                current = inner
        except OSError as error:
            message = f"cannot create a worktree in {self.path}: {error.strerror}"
            raise WorktreeError(message, hint="set gump_worktrees to a writable folder") from error
        self._has_been_open = True
        return Directory(current, self.path)

    def _refuse_new_mounts(self, base: str) -> None:
        """Raise an error if a file system was mounted over the folder since it was first opened."""
        ours = Path(base, *self.path.parts[-self._ours :])
        mounts = [mount for mount in mounts_in(Path(base)) if ours.is_relative_to(mount)]
        new = [mount for mount in mounts if mount not in self._mounts]
        if self._has_been_open and new:
            raise WorktreeError(f"{new[0]} was mounted while gump had worktrees there", hint=_HINT)
        self._mounts = mounts

    def _open_base(self, path: str) -> int:
        """Open the user's folder. Links on the way to it are followed only the first time."""
        if self._base is None:
            os.makedirs(path, OURS, exist_ok=True)  # noqa: PTH103
            self._base = os.path.realpath(path)
        current = os.open("/", FOLDER)
        for name in self._base.split("/"):
            if name:
                inner = os.open(name, FOLDER, dir_fd=current)
                os.close(current)
                current = inner
        try:
            _refuse_foreign(current, self._base)
            self._refuse_new_mounts(self._base)
        except WorktreeError:
            os.close(current)
            raise
        return current


def _clear(parent: int, name: str) -> None:
    """Rename an entry that is not a folder."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.rename(name, f"{ASIDE}{name}-{os.urandom(4).hex()}", src_dir_fd=parent, dst_dir_fd=parent)


def own_folder(path: Path) -> Directory:
    """Open a folder and set its mode to 0700. Create it if it is missing.

    Raises:
        OSError: The folder cannot be created, belongs to another user, or is a link or a file.
    """
    with contextlib.suppress(FileExistsError):
        path.mkdir(OURS)
    folder = Directory.open(path)
    if os.fstat(folder.descriptor).st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(path))
    os.fchmod(folder.descriptor, OURS)
    return folder


def close_to_others(top: Path) -> None:
    """Set the modes of a folder and its contents to 0700 and 0600.

    Entries of other users, and files with several hard links, keep their modes.

    Raises:
        OSError: The path is a link or not a folder.
    """
    handle = Directory.open(top)
    for _, _, names, folder in os.fwalk(".", dir_fd=handle.descriptor):
        _close(folder, OURS)
        for name in names:
            with contextlib.suppress(OSError):
                file = open_regular(name, folder)
                _close(file, 0o600)
                os.close(file)


def remove_special(top: Path) -> None:
    """Remove links, FIFOs and other special files from a folder. A later reader would follow a link or block on a FIFO.

    Raises:
        OSError: The path is a link or not a folder.
    """
    handle = Directory.open(top)
    for _, folders, names, folder in os.fwalk(".", dir_fd=handle.descriptor):
        for name in (*folders, *names):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                os.unlink(name, dir_fd=folder)


def _close(descriptor: int, mode: int) -> None:
    status = os.fstat(descriptor)
    is_only_here = stat.S_ISDIR(status.st_mode) or status.st_nlink == 1
    if status.st_uid == os.geteuid() and is_only_here and stat.S_IMODE(status.st_mode) != mode:
        with contextlib.suppress(OSError):  # a read-only disk is reported by the next write
            os.fchmod(descriptor, mode)


def _enter(parent: int, name: str, path: Path) -> int:
    """Open a folder and set its mode to 0700. Create it if it is missing."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, OURS, dir_fd=parent)
    try:
        folder = open_folder(parent, name, unlock=True)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
            raise
        message = f"gump keeps its worktrees below {path}, which is a link or not a folder"
        raise WorktreeError(message, hint="remove it, or set gump_worktrees to the folder that it points to") from error
    status = os.fstat(folder)
    if status.st_uid != os.geteuid():
        os.close(folder)
        raise WorktreeError(f"gump keeps its worktrees below {path}, which belongs to another user", hint=_HINT)
    if stat.S_IMODE(status.st_mode) != OURS:
        os.fchmod(folder, OURS)
    return folder


def _refuse_foreign(folder: int, path: str) -> None:
    status = os.fstat(folder)
    if status.st_uid not in {0, os.geteuid()}:
        raise WorktreeError(f"gump keeps its worktrees below {path}, which belongs to another user", hint=_HINT)
    foreign = _OTHERS if status.st_gid == os.getegid() else _OTHERS | _GROUP
    if status.st_mode & foreign and not status.st_mode & stat.S_ISVTX:
        message = f"gump keeps its worktrees below {path}, which other users can write to"
        raise WorktreeError(message, hint=f"chmod go-w {path}, or {_HINT}")
