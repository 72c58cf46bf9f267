"""Finds modules that tests can import in the checkout but not in a worktree, because git ignores their files."""

from __future__ import annotations

import posixpath
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_gump.system.git.repository import Repository

_MODULES: Final = ("*.so", "*.pyd", "*.py")
_VENV: Final = "pyvenv.cfg"
_NO_SOURCES: Final = frozenset(
    {"node_modules", "site-packages", "dist-packages", "venv", "env", "build", "dist", "target", "__pycache__"}
)
_NOT_LISTED: Final = (*sorted(_NO_SOURCES), ".gump", ".venv", ".nox", ".tox")
"""Folders of the top that git does not look into: it would list every file of all earlier runs."""


def absent_modules(repository: Repository, is_there: Callable[[str], bool]) -> list[str]:
    """Name the importable files that git ignores in the checkout and that `is_there` does not find in the worktree.

    Virtual environments, dependency folders, build outputs, caches and hidden folders do not count. Empty where the
    repository has no checkout.
    """
    patterns = (*_MODULES, f"*{_VENV}", *(f":(exclude,top,literal){name}" for name in _NOT_LISTED))
    listing = ("ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", *patterns)
    try:
        found = repository.checkout.check(*listing).fields
    except WorktreeError:
        return []
    return [path for path in importable(found) if not is_there(path)]


def importable(paths: Iterable[str]) -> Iterator[str]:
    """The files that tests may import."""
    paths = [*paths]
    venvs = tuple(f"{posixpath.dirname(path)}/" for path in paths if posixpath.basename(path) == _VENV)
    for path in paths:
        folders = path.split("/")[:-1]
        is_module = any(fnmatchcase(path, pattern) for pattern in _MODULES)
        is_apart = any(name in _NO_SOURCES or name.startswith(".") or name.endswith(".egg-info") for name in folders)
        if is_module and not is_apart and not path.startswith(venvs):
            yield path
