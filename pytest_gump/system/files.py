"""Files that a user names, and files that an agent wrote. Links are followed only in the user's paths."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from pytest_gump.errors import ConfigError, WorktreeError
from pytest_gump.system.directory import NEW, Directory
from pytest_gump.system.kept_ignored import is_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_DEPTH = 10
_MOST_BYTES_READ = 2 * 1024 * 1024


def path_error(written: str) -> str | None:
    """Return why a relative path in a user's file is not allowed; None if it is."""
    if "\x00" in written:
        return "contains a NUL character"
    if PurePosixPath(written).is_absolute() or written.startswith("~"):
        return "must be relative"
    if ".." in written.replace("\\", "/").split("/"):
        return "must not contain '..'"
    return None


def read_user_file(path: Path, max_bytes: int, name: str) -> bytes:
    """Read a regular file that the user named. Links are followed.

    Args:
        path: The file.
        max_bytes: Largest size.
        name: The subject of error messages.

    Raises:
        ConfigError: The file is missing, is not a regular file, is too large, or cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{name} is not a regular file")
        if status.st_size > max_bytes:
            raise ConfigError(f"{name} has {status.st_size} bytes; the limit is {max_bytes}")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{name} cannot be read: {why}") from error


def read_user_text(path: Path, max_bytes: int, name: str) -> str:
    """Read a text file that the user named, without its byte order mark.

    Raises:
        ConfigError: As for `read_user_file`, or the file is not UTF-8.
    """
    return decode_user_text(read_user_file(path, max_bytes, name), name)


def decode_user_text(content: bytes, name: str) -> str:
    """Decode a text of the user, without its byte order mark.

    Raises:
        ConfigError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Provide a file that atomically replaces `path` at the end of the block."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as new:
        try:
            yield new.file
            new.file.flush()
            Path(new.name).replace(path)
        finally:
            Path(new.name).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a file or a folder with its contents, even if it is read-only. A missing path is not an error.

    Raises:
        OSError: The path cannot be removed.
    """
    try:
        Directory.open(path.parent).remove(path.name)
    except (FileNotFoundError, NotADirectoryError):
        return


def create(path: Path) -> FileIO:
    """Create a file with 0600 and open it for writing. An existing entry is removed first; a link is not followed."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return FileIO(path, "xb", opener=lambda name, _flags: os.open(name, NEW, 0o600))


def is_behind_link(root: Directory, path: str) -> bool:
    """True if a parent of `path` is a link or not a folder."""
    parts = path.split("/")
    parents = (root.status("/".join(parts[:depth])) for depth in range(1, len(parts)))
    return any(status is not None and not stat.S_ISDIR(status.st_mode) for status in parents)


def remove_except(root: Directory, path: str, keep: Sequence[str]) -> bool:
    """Remove `path`, except for entries whose names are in `keep`. Return True if anything was removed."""
    if is_kept(path, keep):
        return False
    holding = _holding_kept(root, path, keep) if root.is_folder(path) else []
    if not holding:
        return root.remove(path)
    removed = False
    for folder in holding:
        for name in root.entries(folder):
            inner = f"{folder}/{name}"
            if inner not in holding and not is_kept(inner, keep):
                removed |= root.remove(inner)
    return removed


def remove_emptied(root: Directory, path: str) -> None:
    """Remove the parents of a removed `path` that are now empty."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if not root.remove_empty(path):
            return


def _holding_kept(root: Directory, top: str, keep: Sequence[str]) -> list[str]:
    """Return the folders at and below `top` that contain kept entries. Unreadable folders contain none."""
    holding: dict[str, None] = {}
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            entries = root.entries(folder)
        except OSError:
            continue
        for name, is_folder in entries.items():
            path = f"{folder}/{name}"
            if is_kept(path, keep):
                parts = folder.split("/")
                for depth in range(top.count("/") + 1, len(parts) + 1):
                    holding["/".join(parts[:depth])] = None
            elif is_folder:
                waiting.append(path)
    return list(holding)


def unlock(root: Directory, folders: Sequence[str]) -> None:
    """Give folders the permissions that we need to read them. Missing folders are ignored."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            root.unlock(folder)


def read_or_none(worktree: Path, name: str, *, max_bytes: int = _MOST_BYTES_READ) -> bytes | None:
    """Return the content of a regular file of a worktree; None if there is none, or if `read_regular` refuses it."""
    try:
        return read_regular(Directory.open(worktree), name, max_bytes)
    except WorktreeError:
        return None


def read_regular(root: Directory, path: str, max_bytes: int) -> bytes | None:
    """Return the content of a file below `root`; None if it is missing.

    Raises:
        WorktreeError: A component of the path is a link, the path leads outside `root`, or the file is not a regular
            file, is larger than `max_bytes`, or cannot be read.
    """
    parts = path.split("/")
    if not all(part not in {"", ".", ".."} and "\0" not in part for part in parts):
        raise WorktreeError(f"{path!r} is not a path below the worktree")
    try:
        with open(root.open_file(path), "rb") as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise WorktreeError(f"{path!r} has {size} bytes; the limit is {max_bytes}")
            return file.read(max_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise WorktreeError(f"{path!r} is not a regular file") from error
        raise WorktreeError(
            f"{path!r} cannot be read: {os.strerror(error.errno or 0)}; links are not followed"
        ) from error


@dataclass(slots=True)
class Moved:
    dropped: list[str] = field(default_factory=list)
    """Paths of links, FIFOs and other special files, which were removed."""
    too_deep: list[str] = field(default_factory=list)
    """Folders below the depth limit, which were removed with their contents."""


def move_regular_files(root: Directory, top: str, dest: Directory) -> Moved:
    """Move the regular files and folders in `top` to `dest`. Remove `top` and everything else in it."""
    moved = Moved()
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        if folder.count("/") >= _MAX_DEPTH:
            moved.too_deep.append(folder)
            continue
        if folder:
            dest.make_folders(folder)
        for name in root.entries(f"{top}/{folder}".rstrip("/")):
            path = f"{folder}/{name}" if folder else name
            status = root.status(f"{top}/{path}")
            if status is not None and stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            elif status is not None and stat.S_ISREG(status.st_mode):
                _move_file(root, f"{top}/{path}", dest, path)
            else:
                moved.dropped.append(path)
    root.remove(top)
    moved.dropped.sort()
    return moved


def _move_file(root: Directory, source: str, dest: Directory, path: str) -> None:
    try:
        root.move(source, dest, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with open(root.open_file(source), "rb") as file, open(dest.create(path), "wb") as out:  # noqa: PTH123
            shutil.copyfileobj(file, out)
