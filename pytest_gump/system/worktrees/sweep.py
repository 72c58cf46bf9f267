"""Finds entries of a slot that git does not report: FIFOs, links, nested repositories, and the number of files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.system.directory import Directory

_SETTLED_NS: Final = 2_000_000_000
"""A folder that changed within this time may change again without a new timestamp."""


@dataclass(slots=True)
class Sweep:
    """Unusual entries below a folder. Paths are relative and `/`-separated."""

    nested: list[str] = field(default_factory=list)
    """`.git` files or folders below the top folder: repositories inside the tree."""
    special: list[str] = field(default_factory=list)
    """FIFOs, sockets and devices."""
    leaving: list[str] = field(default_factory=list)
    """Symlinks to targets outside the tree."""
    unreadable: list[str] = field(default_factory=list)
    """Folders that cannot be listed."""
    pruned: list[str] = field(default_factory=list)
    """Folders that were not entered."""
    files: int = 0
    """Number of regular files and symlinks."""
    folders: dict[str, int] = field(default_factory=dict)
    """Number of entries by folder, for all folders that were listed, parents first."""


class _Folder(NamedTuple):
    """The contents of one folder, and its stamp. The stamp is None if the folder changed too recently to be cached."""

    stamp: tuple[int, ...] | None
    entries: int
    files: int
    nested: bool
    special: tuple[str, ...]
    links: tuple[str, ...]
    folders: tuple[str, ...]


class Sweeper:
    """Sweeps one tree repeatedly. A folder is listed again only if its ctime has changed.

    Adding, removing or replacing an entry changes the ctime of its folder, which programs cannot set. Measured
    2026-11-29 (`benchmarks/README.md`): 240 ms of CPU for a plan item; 390 ms if all folders are listed.
    """

    def __init__(self) -> None:
        self._root = ""
        self._known: dict[str, _Folder] = {}

    def sweep(self, root: str, is_pruned: Callable[[str], bool]) -> Sweep:
        """Search the tree at `root`. Folders for which `is_pruned(path)` is true are not entered."""
        found = Sweep()
        self._root = root
        known, self._known = self._known, {}
        top = os.path.realpath(root)
        waiting = [""]
        while waiting:
            path = waiting.pop()
            try:
                folder = self._look(path, known.get(path))
            except OSError:
                found.unreadable.append(path or ".")
                continue
            self._known[path] = folder
            _take(found, folder, path, top)
            for inner in folder.folders:
                (found.pruned if is_pruned(inner) else waiting).append(inner)
        return found

    def _look(self, path: str, before: _Folder | None) -> _Folder:
        location = f"{self._root}/{path or '.'}"
        status = os.lstat(location)
        stamp = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
        if before is not None and before.stamp == stamp:
            return before
        is_settled = time.time_ns() - status.st_ctime_ns > _SETTLED_NS
        return _list(location, path, stamp if is_settled else None)


def _list(location: str, path: str, stamp: tuple[int, ...] | None) -> _Folder:
    entries = count = 0
    nested = False
    special: list[str] = []
    links: list[str] = []
    folders: list[str] = []
    with os.scandir(location) as listing:
        for entry in listing:
            entries += 1
            if entry.name == ".git":
                nested = path != ""
            elif entry.is_file(follow_symlinks=False):
                count += 1
            else:
                inner = f"{path}/{entry.name}" if path else entry.name
                if entry.is_symlink():
                    count += 1
                    links.append(inner)
                else:
                    (folders if entry.is_dir(follow_symlinks=False) else special).append(inner)
    return _Folder(stamp, entries, count, nested, tuple(special), tuple(links), tuple(folders))


def _take(found: Sweep, folder: _Folder, path: str, top: str) -> None:
    found.folders[path] = folder.entries
    found.files += folder.files
    found.special += folder.special
    found.leaving += (link for link in folder.links if leaves(top, link))
    if folder.nested:
        found.nested.append(f"{path}/.git")


def leaves(top: str, path: str) -> bool:
    """True if a symlink points out of the tree or into its `.git`. Absolute links always count."""
    link = Path(top, path)
    target = link.readlink()
    end = Path(os.path.realpath(link.parent / target))
    return target.is_absolute() or not end.is_relative_to(top) or end.is_relative_to(Path(top, ".git"))


def remove_empty_folders(root: Directory, found: Sweep) -> None:
    for folder in reversed(found.folders):
        if folder and found.folders[folder] == 0:
            _ = root.remove_empty(folder) or root.remove(folder)
            found.folders[os.path.dirname(folder)] -= 1  # noqa: PTH120
