"""Files below a folder that an agent has written: looked at, removed and read without ever following a link."""

from __future__ import annotations

import fnmatch
import os
import secrets
import shutil
import stat
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DEEPEST_HANDOVER = 10
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def remove(path: Path) -> None:
    """Remove a file or a whole folder, read-only ones too; what is not there is fine.

    Raises:
        OSError: it could not be removed.
    """
    try:
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            _remove_folder(str(path))
        else:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        if not _is_real_folder(path.parent):
            raise
        path.parent.chmod(0o700)
        _remove_folder(str(path)) if _is_real_folder(path) else path.unlink()


def _remove_folder(top: str) -> None:
    """Folders below are moved up to `top` one by one: neither their depth nor the length of their paths matters."""
    prefix = f"{top}/{secrets.token_hex(8)}-"
    waiting, moved = [top], 0
    while waiting:
        folder = waiting.pop()
        os.chmod(folder, 0o700)  # noqa: PTH101
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)  # noqa: PTH108
                elif folder == top:
                    waiting.append(entry.path)
                else:
                    moved += 1
                    os.chmod(entry.path, 0o700)  # noqa: PTH101
                    os.rename(entry.path, f"{prefix}{moved}")  # noqa: PTH104
                    waiting.append(f"{prefix}{moved}")
        if folder != top:
            os.rmdir(folder)  # noqa: PTH106
    os.rmdir(top)  # noqa: PTH106


def is_behind_link(root: Path, path: str) -> bool:
    """Whether a folder on the way to `root/path` is a link."""
    parts = path.split("/")
    return any(root.joinpath(*parts[:depth]).is_symlink() for depth in range(1, len(parts)))


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def remove_except(root: Path, path: str, keep: Sequence[str]) -> bool:
    """Remove `root/path` but for what lies under kept names; True if something was removed."""
    if is_kept(path, keep):
        return False
    place = root / path
    holding = _holding_kept(root, path, keep) if _is_real_folder(place) else []
    if not holding:
        existed = os.path.lexists(place)
        remove(place)
        return existed
    removed = False
    for folder in holding:
        for name in os.listdir(root / folder):  # noqa: PTH208
            inner = f"{folder}/{name}"
            if inner not in holding and not is_kept(inner, keep):
                remove(root / inner)
                removed = True
    return removed


def remove_emptied(root: Path, path: str) -> None:
    """Remove the folders that held `root/path`, which is gone, and hold nothing any more."""
    while "/" in path:
        path = path.rpartition("/")[0]
        try:
            (root / path).rmdir()
        except OSError:
            return


def _holding_kept(root: Path, top: str, keep: Sequence[str]) -> list[str]:
    """The folders from `top` down that hold something kept; what cannot be looked into holds nothing."""
    holding: dict[str, None] = {}
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            (root / folder).chmod(0o700)
            with os.scandir(root / folder) as scanned:
                entries = [(each.name, each.is_dir(follow_symlinks=False)) for each in scanned]
        except OSError:
            continue
        for name, is_folder in entries:
            path = f"{folder}/{name}"
            if is_kept(path, keep):
                parts = folder.split("/")
                for depth in range(top.count("/") + 1, len(parts) + 1):
                    holding["/".join(parts[:depth])] = None
            elif is_folder:
                waiting.append(path)
    return list(holding)


def is_kept(path: str, keep: Sequence[str]) -> bool:
    """Whether a kept name covers the path: `node_modules` at any depth, `web/dist` from the top."""
    parts = path.strip("/").split("/")
    for raw in keep:
        name = raw.strip("/")
        if "/" in name:
            if fnmatch.fnmatchcase("/".join(parts[: name.count("/") + 1]), name):
                return True
        elif any(fnmatch.fnmatchcase(part, name) for part in parts):
            return True
    return False


def make_writable(root: Path) -> None:
    """Give folders back the rights that we need to change what is in them."""
    waiting = [str(root)]
    while waiting:
        folder = waiting.pop()
        os.chmod(folder, 0o700 | stat.S_IMODE(os.lstat(folder).st_mode))  # noqa: PTH101
        with os.scandir(folder) as entries:
            waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def read_regular(root: Path, path: str, max_bytes: int) -> bytes | None:
    """Read a file below `root`, no component of whose path may be a link; None when it is not there.

    Raises:
        WorktreeError: a link, a folder, a device, a name that leads out, or more than `max_bytes`.
    """
    parts = path.split("/")
    if not all(part not in {"", ".", ".."} and "\0" not in part for part in parts):
        raise WorktreeError(f"not a path below the worktree: {path!r}")
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        with os.fdopen(os.open(parts[-1], _FILE, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise WorktreeError(f"not a regular file: {path!r}")
            if status.st_size > max_bytes:
                raise WorktreeError(f"{path!r} has {status.st_size} bytes; the limit is {max_bytes}")
            return file.read(max_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorktreeError(
            f"{path!r} cannot be read: {os.strerror(error.errno or 0)}; links are not followed"
        ) from error
    finally:
        os.close(folder)


def move_regular_files(source: Path, dest: Path) -> list[str]:
    """Move regular files and folders to `dest`, drop everything else; gives what was dropped."""
    dropped: list[str] = []
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        if folder.count("/") >= _DEEPEST_HANDOVER:
            dropped.append(folder)
            continue
        (dest / folder).mkdir(parents=True, exist_ok=True)
        (source / folder).chmod(0o700)
        for name in os.listdir(source / folder):  # noqa: PTH208
            path = f"{folder}/{name}" if folder else name
            place = source / path
            mode = place.lstat().st_mode
            if stat.S_ISDIR(mode):
                waiting.append(path)
            elif stat.S_ISREG(mode):
                shutil.move(place, dest / path)
            else:
                dropped.append(path)
    remove(source)
    return sorted(dropped)
