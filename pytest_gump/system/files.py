"""Files below a folder that an agent has written: looked at, removed and read without ever following a link."""

from __future__ import annotations

import fnmatch
import os
import shutil
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class Sweep:
    """What is odd below a folder; paths are relative, `/`-separated."""

    nested: list[str] = field(default_factory=list)
    """`.git` files or folders below the top: repositories inside the tree."""
    special: list[str] = field(default_factory=list)
    """FIFOs, sockets, devices."""
    leaving: list[str] = field(default_factory=list)
    """Symlinks that lead out of the tree."""
    unreadable: list[str] = field(default_factory=list)
    """Folders that cannot be listed."""
    folders: dict[str, int] = field(default_factory=dict)
    """Every folder that was looked into, parents first, and how many entries it has."""


def sweep(root: Path, is_pruned: Callable[[str], bool]) -> Sweep:
    """Look through a tree once; folders for which `is_pruned(path)` holds are not entered."""
    found = Sweep()
    top = os.path.realpath(root)
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:  # noqa: PTH118 - pathlib costs a third of the time
                count = 0
                for entry in entries:
                    count += 1
                    if entry.name != ".git" and entry.is_file(follow_symlinks=False):
                        continue
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if _note(found, entry, path, top) and not is_pruned(path):
                        waiting.append(path)
                found.folders[folder] = count
        except OSError:
            found.unreadable.append(folder or ".")
    return found


def _note(found: Sweep, entry: os.DirEntry[str], path: str, top: str) -> bool:
    """Note an entry that is odd; True for a folder to look into."""
    if entry.name == ".git":
        if path != ".git":
            found.nested.append(path)
        return False
    if entry.is_symlink():
        if leaves(top, path):
            found.leaving.append(path)
        return False
    if entry.is_dir(follow_symlinks=False):
        return True
    found.special.append(path)
    return False


def leaves(top: str, path: str) -> bool:
    """Whether a symlink leads out of the tree, or into its `.git`; an absolute one always does."""
    link = Path(top, path)
    target = link.readlink()
    end = Path(os.path.realpath(link.parent / target))
    return target.is_absolute() or not end.is_relative_to(top) or end.is_relative_to(Path(top, ".git"))


def remove_empty_folders(root: Path, found: Sweep) -> None:
    for folder in reversed(found.folders):
        if folder and found.folders[folder] == 0:
            remove(root / folder)
            found.folders[os.path.dirname(folder)] -= 1  # noqa: PTH120


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


def _remove_folder(path: str) -> None:
    os.chmod(path, 0o700)  # noqa: PTH101
    with os.scandir(path) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove_folder(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108
    os.rmdir(path)  # noqa: PTH106


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def remove_except(root: Path, path: str, keep: Sequence[str]) -> bool:
    """Remove `root/path` but for what lies under kept names; True if something was removed."""
    if is_kept(path, keep):
        return False
    place = root / path
    if not _is_real_folder(place):
        existed = os.path.lexists(place)
        remove(place)
        return existed
    place.chmod(0o700)
    names = os.listdir(place)  # noqa: PTH208
    removed = [remove_except(root, f"{path}/{name}", keep) for name in names]
    if not os.listdir(place):  # noqa: PTH208
        remove(place)
        return True
    return any(removed)


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
