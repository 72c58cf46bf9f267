"""Writes refs without a git process, in the same format, with the same steps and with the same lock as git.

All functions return False if git must do it: the ref is packed, symbolic, locked or checked out, or does not point to
the expected commit.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pytest_gump.system.git.objects import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write(git_dir: Path, name: str, commit: str) -> bool:
    """Point a ref at a commit, regardless of its current value. No reflog is written."""
    target = git_dir / name
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, commit) as lock:
            lock.replace(target)
            return True
    return False


def create(git_dir: Path, name: str, commit: str) -> bool:
    """Create a branch and its reflog."""
    target, log = git_dir / name, git_dir / "logs" / name
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target, commit, is_synced=True) as lock:
            if os.path.lexists(target) or _is_packed(git_dir, name) or _is_checked_out(git_dir, name):
                raise FileExistsError
            with log.open("x") as file:
                file.write(f"{'0' * len(commit)} {commit} {Identity.of_gump().committer}\n")
            lock.replace(target)
            return True
    return False


def swap(git_dir: Path, name: str, commit: str, old: str) -> bool:
    """Move a ref from `old` to a commit, and write its reflog if it has one."""
    target = git_dir / name
    with contextlib.suppress(OSError), _locked(target, commit, is_synced=True) as lock:
        if _read(target) != f"{old}\n".encode() or _is_checked_out(git_dir, name):
            raise FileExistsError
        _log(git_dir / "logs" / name, f"{old} {commit} {Identity.of_gump().committer}\n")
        lock.replace(target)
        return True
    return False


@contextlib.contextmanager
def _locked(target: Path, commit: str, *, is_synced: bool = False) -> Iterator[Path]:
    """Create the lock file of a ref, which the caller renames to the ref. Any exception removes it."""
    lock = target.with_name(f"{target.name}.lock")
    with lock.open("x") as file:
        try:
            file.write(f"{commit}\n")
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
            yield lock
        except BaseException:  # also KeyboardInterrupt: a remaining lock would block the next run
            with contextlib.suppress(OSError):
                lock.unlink()
            raise


def _is_checked_out(git_dir: Path, name: str) -> bool:
    """True if HEAD is this branch. Then the reflog of HEAD would need an entry too."""
    return _read(git_dir / "HEAD") == f"ref: {name}\n".encode()


def _read(target: Path) -> bytes:
    with open(os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        return file.read(300)


def _is_packed(git_dir: Path, name: str) -> bool:
    """True if the ref may be packed, or a packed ref conflicts with its name: a parent or a child of it."""
    try:
        packed = (git_dir / "packed-refs").read_bytes()
    except FileNotFoundError:
        return False
    parts = name.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    taken = [f" {name}/", *(f" {ref}\n" for ref in (name, *above))]
    return any(os.fsencode(text) in packed for text in taken)


def _log(path: Path, line: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(log, line.encode())
        finally:
            os.close(log)
