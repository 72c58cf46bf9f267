"""Copies untracked files that a build needs from the user's checkout into a slot.

Copies and originals have different inodes. If the file system supports it, they share blocks until one is written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.directory import Directory
from pytest_gump.system.worktrees.sweep import leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository

INCLUDE: Final = ".worktreeinclude"
_INCLUDE_BYTES: Final = 1 << 20
_FICLONE: Final = 0x40049409
_ORIGINAL: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE: Final = 1 << 20
_FILES_A_TICK: Final = 200
_OURS: Final = (".git", ".gump")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(slots=True)
class Copies:
    done: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Reasons by path."""


def patterns(repository: Repository, settings: Sequence[str]) -> list[str]:
    """Return the patterns of the settings, then those of `.worktreeinclude` in the user's checkout.

    Raises:
        WorktreeError: `.worktreeinclude` is a link, is not a regular file, or is larger than 1 MiB.
    """
    data = files.read_regular(Directory.open(repository.root), INCLUDE, _INCLUDE_BYTES) or b""
    lines = [*settings, *os.fsdecode(data).splitlines()]
    return lines if any(line.strip() and not line.startswith("#") for line in lines) else []


def matching(repository: Repository, wanted: Sequence[str], *, apart: Path) -> list[str]:
    """Return the untracked files of the checkout that match patterns.

    Args:
        repository: The user's repository.
        wanted: Patterns in the format of `.gitignore`.
        apart: The folder of the slots, which is skipped if it is in the checkout.
    """
    with tempfile.NamedTemporaryFile(prefix="gump-include-") as file:
        file.write(b"".join(os.fsencode(line) + b"\n" for line in wanted))
        file.flush()
        listing = ("ls-files", "--others", "--ignored", "-z", f"--exclude-from={file.name}")
        found = repository.checkout.check(*listing).fields
    root = os.path.realpath(repository.root)
    slots = os.path.realpath(apart)
    within = slots.removeprefix(f"{root}/") + "/" if slots.startswith(f"{root}/") else None
    return [
        path
        for path in found
        if path.split("/")[0] not in _OURS and not (within is not None and path.startswith(within))
    ]


def copy(source: Path, dest: Directory, paths: Iterable[str], tick: Callable[[], None]) -> Copies:
    """Copy files, and links to targets inside the checkout. Existing files are not changed.

    Args:
        source: The checkout.
        dest: The slot.
        paths: Relative paths of the files.
        tick: Called before every 200 files.

    Raises:
        WorktreeError: The disk is full or read-only.
    """
    copier = _Copier(source, dest)
    for number, path in enumerate(paths):
        if number % _FILES_A_TICK == 0:
            tick()
        why_not = copier.copy(path)
        if why_not is None:
            copier.copies.done.append(path)
        else:
            copier.copies.left_out[path] = why_not
    return copier.copies


class _Copier:
    """Copies single files. Uses strings and descriptors for speed: `node_modules` has tens of thousands of files."""

    def __init__(self, source: Path, dest: Directory) -> None:
        self._source = str(source)
        self._dest = dest
        self._top = os.path.realpath(source)
        self._clones = True
        self._folders: dict[str, str | None] = {}
        self.copies = Copies()

    def copy(self, path: str) -> str | None:
        """Copy a file. Return None if it was copied, otherwise the reason."""
        source = f"{self._source}/{path}"
        if path.endswith("/"):
            return "a repository of its own"
        try:
            status = os.lstat(source)
            blocked = self._make_folder(path.rpartition("/")[0])
            if blocked is not None or self._dest.status(path) is not None:
                return blocked or "git tracks it in the run"
            if stat.S_ISLNK(status.st_mode):
                if leaves(self._top, path):
                    return "a link that leads out of the checkout"
                self._dest.link(path, os.readlink(source))  # noqa: PTH115
            elif stat.S_ISREG(status.st_mode):
                self._copy_file(source, path)
            else:
                return "not a regular file"
        except OSError as error:
            if error.errno in _FULL:
                raise WorktreeError(
                    f"cannot copy {path!r} into the worktree {self._dest.path}: {error.strerror}"
                ) from error
            return str(error.strerror)
        return None

    def _make_folder(self, folder: str) -> str | None:
        if folder and folder not in self._folders:
            if files.is_behind_link(self._dest, f"{folder}/x"):
                self._folders[folder] = "its folder is a link in the run"
            else:
                self._dest.make_folders(folder)
                self._folders[folder] = None
        return self._folders.get(folder)

    def _copy_file(self, source: str, path: str) -> None:
        original = os.open(source, _ORIGINAL)
        try:
            new = self._dest.create(path)
            try:
                status = os.fstat(original)
                if not self._clone(original, new):
                    _copy_bytes(original, new)
                os.fchmod(new, stat.S_IMODE(status.st_mode) & 0o777)
                os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
            except BaseException:
                self._dest.remove(path)
                raise
            finally:
                os.close(new)
        finally:
            os.close(original)

    def _clone(self, original: int, new: int) -> bool:
        if self._clones:
            try:
                fcntl.ioctl(new, _FICLONE, original)
            except OSError:
                self._clones = False
        return self._clones


def _copy_bytes(original: int, new: int) -> None:
    while piece := os.read(original, _PIECE):
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(new, rest) :]
