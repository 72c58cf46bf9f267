"""A folder that is accessed through its descriptor, so that it stays the same folder even if its path changes.

Paths below it are relative and `/`-separated. Every component is opened with O_NOFOLLOW. A process that replaces files
and folders by links can make an operation fail, but cannot redirect it to another place.
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
"""Prefix of the new name of a folder that another program created under one of our names."""
HAS_PROC: Final = sys.platform == "linux"
_NO_FOLDER: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_ROUNDS: Final = 3
"""Most attempts to empty a folder while another process writes into it."""


class Directory:
    def __init__(self, descriptor: int, path: Path) -> None:
        """Take ownership of the descriptor.

        Args:
            descriptor: An open folder. Closed with this object.
            path: The path that was opened, for messages and for `is_there`.
        """
        self.descriptor = descriptor
        self.path = path
        status = os.fstat(descriptor)
        self.identity = status.st_dev, status.st_ino

    @classmethod
    def open(cls, path: Path) -> Directory:
        """Open a folder. Links above it are followed, but the last component must not be a link.

        Raises:
            OSError: There is no such folder.
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
        """A path of the folder for functions that do not accept a descriptor. It is valid only in this process.

        On Linux, the path leads to the descriptor. Elsewhere, it is the plain path; check it with `is_there`.
        """
        return f"/proc/self/fd/{self.descriptor}" if HAS_PROC else str(self.path)

    @property
    def is_there(self) -> bool:
        """True if its path still names this folder and is not a link."""
        try:
            status = os.lstat(self.path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity

    # -- reading -----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def holding(self, path: str, *, unlock: bool = False) -> Iterator[tuple[int, str]]:
        """Provide the descriptor of the parent folder of `path`, and the name in it.

        With `unlock`, folders on the way get the permissions that we need.

        Raises:
            OSError: A component is missing, is a link or is not a folder.
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
        """Return the status of the entry itself, even if it is a link; None if it or its parent folder is missing.

        A link or a file in the place of a parent counts as missing.
        """
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
        """Return the names in a folder, each with True if it is a folder. A folder below this one is unlocked first."""
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
            OSError: The file is missing, is a link or is not a regular file (EINVAL).
        """
        with self.holding(path) as (parent, name):
            return open_regular(name, parent)

    def read(self, path: str) -> bytes | None:
        """Return the content of a regular file; None if there is no such file."""
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
        """Open a folder and set its mode to 0700. Create it if it is missing. Remove a link or file in its place."""
        status = self.status(name)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            self.put_aside(name)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, OURS, dir_fd=self.descriptor)
        folder = Directory(open_folder(self.descriptor, name, unlock=True), self.path / name)
        os.fchmod(folder.descriptor, OURS)
        return folder

    def put_aside(self, name: str, target: Directory | None = None) -> None:
        """Free a name: rename a folder, and move it to `target` if given. Remove anything else."""
        if self.is_folder(name):
            there, aside = target or self, f"{ASIDE}{name}-{os.urandom(4).hex()}"
            os.rename(name, aside, src_dir_fd=self.descriptor, dst_dir_fd=there.descriptor)
        else:
            self.remove(name)

    def make_folders(self, path: str) -> None:
        """Create a folder and its parents. Remove anything in the way that is not a folder."""
        done = ""
        for name in path.split("/"):
            done = f"{done}/{name}" if done else name
            with self.holding(done, unlock=True) as (parent, last):
                _make_folder(parent, last)

    def create(self, path: str, mode: int = 0o600) -> int:
        """Create a file and open it for writing. The name must be free."""
        with self.holding(path, unlock=True) as (parent, name):
            return os.open(name, NEW, mode, dir_fd=parent)

    def link(self, path: str, target: str) -> None:
        """Create a symlink. The name must be free."""
        with self.holding(path, unlock=True) as (parent, name):
            os.symlink(target, name, dir_fd=parent)

    def write(self, path: str, content: bytes) -> None:
        """Write a file with 0600. It replaces the existing entry: a link is not followed, and a folder is renamed."""
        temporary = f"{path}.{os.urandom(8).hex()}"
        try:
            with open(self.create(temporary), "wb") as file:  # noqa: PTH123
                file.write(content)
            if self.is_folder(path):
                self.put_aside(path)
            self.move(temporary, self, path)
        except OSError:  # for example, a full disk
            self.remove(temporary)
            raise

    def move(self, source: str, target: Directory, path: str) -> None:
        """Move an entry. It replaces a file or link at the target, but not a folder.

        Raises:
            OSError: The entry cannot be moved. The error is EXDEV if the target is on another disk.
        """
        with self.holding(source) as (here, name), target.holding(path, unlock=True) as (there, last):
            _unlocked(there, lambda: os.rename(name, last, src_dir_fd=here, dst_dir_fd=there))

    def unlock(self, path: str) -> None:
        """Give a folder the permissions that we need to read and change it."""
        with self.holding(path, unlock=True) as (parent, name):
            _allow(parent, name)

    def remove(self, path: str) -> bool:
        """Remove a file or a folder with its contents, even if it is read-only. Return False if it is missing.

        Raises:
            OSError: The entry cannot be removed.
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
        """Remove an empty folder. Return False if it is not empty or not a folder."""
        try:
            with self.holding(path) as (parent, name):
                os.rmdir(name, dir_fd=parent)
        except OSError:
            return False
        return True


def new_folder(parent: Directory, prefix: str) -> Directory:
    """Create a folder with a unique name and 0700."""
    name = f"{prefix}{os.urandom(4).hex()}"
    os.mkdir(name, OURS, dir_fd=parent.descriptor)
    return parent.folder(name)


def open_regular(name: str, parent: int) -> int:
    """Open a regular file of the folder `parent` for reading. Does not block on a FIFO."""
    descriptor = os.open(name, FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor


def _entries(folder: int) -> dict[str, bool]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}


def open_folder(parent: int, name: str, *, unlock: bool) -> int:
    """Open a folder that is not a link. With `unlock`, it gets the permissions that we need if the user owns it."""
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except PermissionError:
        if not unlock:
            raise
    _allow(parent, name)
    return os.open(name, FOLDER, dir_fd=parent)


def _allow(parent: int, name: str) -> None:
    """Change the mode of a folder, but not of the target of a link. An O_PATH descriptor needs no permissions."""
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
    """Run an operation in a folder. If it is not permitted, make the folder writable and repeat the operation."""
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
    except PermissionError:  # macOS raises it for folders too
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise
        os.fchmod(parent, OURS)
        os.unlink(name, dir_fd=parent)


def _remove_folder(parent: int, name: str) -> None:
    """Remove a folder with its contents, at any depth and with paths of any length.

    Inner folders are moved to the top folder one by one. Mounted folders are not emptied: the top folder is checked,
    and a mount point below it cannot be moved (EBUSY).
    """
    top = open_folder(parent, name, unlock=True)
    try:
        if not is_same_mount(parent, top):
            raise OSError(errno.EBUSY, "it is a mount point", name)
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
            os.unlink(name, dir_fd=top)  # replaced by a link meanwhile
            continue
        try:
            os.fchmod(folder, OURS)
            _lift(folder, top, waiting)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _lift(folder: int, top: int, waiting: list[str]) -> None:
    """Remove the files of a folder, move its folders to `top` under new names, and add these names to `waiting`."""
    for name, is_folder in _entries(folder).items():
        with contextlib.suppress(FileNotFoundError):
            if not is_folder:
                try:
                    os.unlink(name, dir_fd=folder)
                    continue
                except (IsADirectoryError, PermissionError):
                    pass  # replaced by a folder meanwhile
            new = f".{os.urandom(12).hex()}"
            try:
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
            except PermissionError:
                _allow(folder, name)
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
            waiting.append(new)
