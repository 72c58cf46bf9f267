"""A folder by its descriptor: always the same folder, even if its path changes, and no link below is followed.

Paths below it are relative and `/`-separated. Every component is opened with O_NOFOLLOW, so that a process that swaps
files and folders for links makes an operation fail, and never makes it act elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from pytest_gump.system.mounts import is_same_mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OURS: Final = 0o700
ASIDE: Final = ".not-ours-"
"""How the new name of an entry begins that lay in the place of one of ours."""
HAS_PROC: Final = sys.platform == "linux"
_NO_FOLDER: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_ROUNDS: Final = 3
"""How often to empty a folder again if another process writes into it."""


class Directory:
    def __init__(self, descriptor: int, path: Path) -> None:
        """Owns the descriptor. `path` is where the folder was opened: for messages, and for `is_there`."""
        self.descriptor = descriptor
        self.path = path
        status = os.fstat(descriptor)
        self.identity = status.st_dev, status.st_ino

    @classmethod
    def open(cls, path: Path) -> Directory:
        """Open a folder that is no link itself; links above it are followed.

        Raises:
            OSError: there is no such folder.
        """
        return cls(os.open(path, FOLDER), path)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        descriptor, self.descriptor = getattr(self, "descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def access(self) -> str:
        """A path of the folder for calls that take no descriptor; valid in this process.

        Linux has one that leads to the descriptor. Elsewhere it is the plain path, to be checked with `is_there`.
        """
        return f"/proc/self/fd/{self.descriptor}" if HAS_PROC else str(self.path)

    @property
    def is_there(self) -> bool:
        """True if its path still names this folder and is no link."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity

    # -- looking -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def holding(self, path: str, *, unlock: bool = False) -> Iterator[tuple[int, str]]:
        """Give the descriptor of the folder that holds `path`, and the name in it.

        With `unlock`, folders on the way get the rights that we need.

        Raises:
            OSError: a component is missing, or a link, or no folder.
        """
        *folders, name = path.split("/")
        if not name or ".." in folders or name in {".", ".."}:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        current = self.descriptor
        try:
            for folder in folders:
                inner = open_folder(current, folder, unlock=unlock)
                if current != self.descriptor:
                    os.close(current)
                current = inner
            yield current, name
        finally:
            if current != self.descriptor:
                os.close(current)

    def folder(self, path: str) -> Directory:
        with self.holding(path) as (parent, name):
            return Directory(os.open(name, FOLDER, dir_fd=parent), self.path / path)

    def status(self, path: str) -> os.stat_result | None:
        """Status of the entry itself, link or not; None if it is missing or its parent is not a real folder."""
        try:
            with self.holding(path) as (parent, name):
                return os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                return None
            raise

    def is_folder(self, path: str) -> bool:
        status = self.status(path)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def entries(self, path: str = "") -> dict[str, bool]:
        """The names in a folder, and whether each is a folder; a folder below this one is unlocked."""
        if not path:
            return _entries(self.descriptor)
        with self.holding(path, unlock=True) as (parent, name):
            folder = open_folder(parent, name, unlock=True)
            try:
                return _entries(folder)
            finally:
                os.close(folder)

    def open_file(self, path: str) -> int:
        """Open a regular file for reading.

        Raises:
            OSError: it is missing, or a link, or no regular file (EINVAL).
        """
        with self.holding(path) as (parent, name):
            return open_regular(name, parent)

    def read(self, path: str) -> bytes | None:
        """The content of a regular file; None when there is none."""
        try:
            descriptor = self.open_file(path)
        except OSError as error:
            if error.errno in (*_NO_FOLDER, errno.EINVAL):
                return None
            raise
        with open(descriptor, "rb") as file:  # noqa: PTH123
            return file.read()

    # -- writing -----------------------------------------------------------------------------------------------------

    def own(self, name: str) -> Directory:
        """Open a folder that only we may use, created if missing; a link in its place is removed."""
        status = self.status(name)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            self.put_aside(name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, OURS, dir_fd=self.descriptor)
        folder = Directory(open_folder(self.descriptor, name, unlock=True), self.path / name)
        os.fchmod(folder.descriptor, OURS)
        return folder

    def put_aside(self, name: str, target: Directory | None = None) -> None:
        """Free a name of ours: a foreign folder is renamed, anything else is unlinked."""
        if self.is_folder(name):
            there, aside = target or self, f"{ASIDE}{name}-{os.urandom(4).hex()}"
            os.rename(name, aside, src_dir_fd=self.descriptor, dst_dir_fd=there.descriptor)
        else:
            self.remove(name)

    def make_folders(self, path: str) -> None:
        """Make a folder and its parents; anything in the way that is not a folder is removed."""
        done = ""
        for name in path.split("/"):
            done = f"{done}/{name}" if done else name
            with self.holding(done, unlock=True) as (parent, last):
                _make_folder(parent, last)

    def create(self, path: str, mode: int = 0o600) -> int:
        """Open a new file for writing; there must be no entry of that name."""
        with self.holding(path, unlock=True) as (parent, name):
            return os.open(name, NEW, mode, dir_fd=parent)

    def link(self, path: str, target: str) -> None:
        """Make a symlink; there must be no entry of that name."""
        with self.holding(path, unlock=True) as (parent, name):
            os.symlink(target, name, dir_fd=parent)

    def write(self, path: str, content: bytes) -> None:
        """Write a file with 0600: a new file replaces the existing entry, which is not written to."""
        temporary = f"{path}.{os.urandom(8).hex()}"
        try:
            with open(self.create(temporary), "wb") as file:  # noqa: PTH123
                file.write(content)
            if self.is_folder(path):
                self.put_aside(path)
            self.move(temporary, self, path)
        except OSError:  # a full disk, say
            self.remove(temporary)
            raise

    def move(self, source: str, target: Directory, path: str) -> None:
        """Move an entry; a file or link at the target is replaced, but no folder.

        Raises:
            OSError: with EXDEV, if that is another disk.
        """
        with self.holding(source) as (here, name), target.holding(path, unlock=True) as (there, last):
            _unlocked(there, lambda: os.rename(name, last, src_dir_fd=here, dst_dir_fd=there))

    def unlock(self, path: str) -> None:
        """Give a folder the rights that we need to look into it and change it."""
        with self.holding(path, unlock=True) as (parent, name):
            _allow(parent, name)

    def remove(self, path: str) -> bool:
        """Remove a file or a whole folder, read-only ones too; False when it is not there.

        Raises:
            OSError: it could not be removed.
        """
        try:
            with self.holding(path, unlock=True) as (parent, name):
                _remove(parent, name)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                return False
            raise
        return True

    def remove_empty(self, path: str) -> bool:
        """Remove an empty folder; False if it is not empty, or not a folder."""
        try:
            with self.holding(path) as (parent, name):
                os.rmdir(name, dir_fd=parent)
        except OSError:
            return False
        return True


def new_folder(parent: Directory, prefix: str) -> Directory:
    """Make a folder with a fresh name that only we may use."""
    name = f"{prefix}{os.urandom(4).hex()}"
    os.mkdir(name, OURS, dir_fd=parent.descriptor)
    return parent.folder(name)


def open_regular(name: str, parent: int) -> int:
    """Open a regular file of the folder `parent` for reading; a FIFO is not waited for."""
    descriptor = os.open(name, FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor


def _entries(folder: int) -> dict[str, bool]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}


def open_folder(parent: int, name: str, *, unlock: bool) -> int:
    """Open a real folder; with `unlock` it gets the rights that we need, if it is ours."""
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        if not unlock:
            raise
    _allow(parent, name)
    return os.open(name, FOLDER, dir_fd=parent)


def _allow(parent: int, name: str) -> None:
    """Chmod a folder, but never the target of a link: the descriptor needs no rights on the folder."""
    if not HAS_PROC:
        os.chmod(name, OURS, dir_fd=parent, follow_symlinks=False)
        return
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", OURS)  # noqa: PTH101
    finally:
        os.close(descriptor)


def _make_folder(parent: int, name: str) -> None:
    try:
        _unlocked(parent, lambda: os.mkdir(name, dir_fd=parent))
    except FileExistsError:
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            _unlocked(parent, lambda: os.unlink(name, dir_fd=parent))
            os.mkdir(name, dir_fd=parent)


def _unlocked(parent: int, act: Callable[[], object]) -> None:
    """Run an operation in a folder that we may have no right to write."""
    try:
        act()
    except PermissionError:
        os.fchmod(parent, OURS)
        act()


def _remove(parent: int, name: str) -> None:
    try:
        _unlink(parent, name)
    except (IsADirectoryError, PermissionError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise
        _remove_folder(parent, name)


def _unlink(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except PermissionError:  # macOS says so of folders too
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise
        os.fchmod(parent, OURS)
        os.unlink(name, dir_fd=parent)


def _remove_folder(parent: int, name: str) -> None:
    """Folders below are moved up to the top one by one: neither their depth nor the length of their paths matters.

    What is mounted there is not emptied: not at the top, and a mount point below it cannot be moved (EBUSY).
    """
    top = open_folder(parent, name, unlock=True)
    try:
        if not is_same_mount(parent, top):
            raise OSError(errno.EBUSY, "something is mounted there", name)
        for _ in range(_ROUNDS):
            os.fchmod(top, OURS)
            _empty(top)
            try:
                _unlocked(parent, lambda: os.rmdir(name, dir_fd=parent))
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
            else:
                return
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), name)
    finally:
        os.close(top)


def _empty(top: int) -> None:
    waiting: list[str] = []
    _lift(top, top, waiting)
    while waiting:
        name = waiting.pop()
        try:
            folder = open_folder(top, name, unlock=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            os.unlink(name, dir_fd=top)  # it has become a link
            continue
        try:
            os.fchmod(folder, OURS)
            _lift(folder, top, waiting)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _lift(folder: int, top: int, waiting: list[str]) -> None:
    """Unlink the files of a folder, and move its folders to `top` under new names, which are added to `waiting`."""
    for name, is_folder in _entries(folder).items():
        with contextlib.suppress(FileNotFoundError):
            if not is_folder:
                try:
                    os.unlink(name, dir_fd=folder)
                    continue
                except (IsADirectoryError, PermissionError):
                    pass  # it has become a folder
            new = f".{os.urandom(12).hex()}"
            try:
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
            except PermissionError:
                _allow(folder, name)
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
            waiting.append(new)
