"""Finds modules that tests can import in the checkout but not in a worktree, because git ignores their files."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository

_ENDINGS: Final = (".so", ".pyd", ".py")
_VENV: Final = "pyvenv.cfg"
_NO_SOURCES: Final = frozenset(
    {"node_modules", "site-packages", "dist-packages", "venv", "env", "build", "dist", "target", "__pycache__"}
)


def absent_modules(repository: Repository, is_there: Callable[[str], bool]) -> list[str]:
    """Return the importable files that git ignores in the checkout and that `is_there` does not find in the worktree.

    Virtual environments, dependency folders, build outputs, caches and hidden folders are skipped. Return an empty list
    if the status of the checkout cannot be read.
    """
    try:
        status = repository.last_status or repository.status()
    except WorktreeError:
        return []
    found = sorted(path for name in status.ignored for path in _files(repository.root, name))
    return [path for path in importable(found) if not is_there(path)]


def _files(root: Path, ignored: str) -> Iterator[str]:
    """Yield the importable files of an ignored folder, or the ignored file itself."""
    if not ignored.endswith("/"):
        yield ignored
    elif not any(map(_is_apart, ignored.split("/"))):
        for folder, folders, names in os.walk(root / ignored):
            if _VENV in names or ".git" in (*folders, *names):
                folders.clear()
                continue
            folders[:] = [name for name in folders if not _is_apart(name)]
            yield from (os.path.relpath(f"{folder}/{name}", root) for name in names if name.endswith(_ENDINGS))


def importable(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths of files that tests can import."""
    paths = [*paths]
    venvs = tuple(f"{posixpath.dirname(path)}/" for path in paths if posixpath.basename(path) == _VENV)
    for path in paths:
        is_apart = any(map(_is_apart, path.split("/")[:-1])) or path.startswith(venvs)
        if path.endswith(_ENDINGS) and not is_apart:
            yield path


def _is_apart(folder: str) -> bool:
    """True if folders with this name do not contain sources of the project."""
    return folder in _NO_SOURCES or folder.startswith(".") or folder.endswith(".egg-info")
