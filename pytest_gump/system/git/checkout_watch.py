"""Compares the files of the user's checkout that programs execute or read as configuration, before and after a run.

Git does not show all of them. An agent without a sandbox can leave an untracked `conftest.py`, a hook in `.git/hooks`
or an ignored `.claude/settings.local.json`. The next pytest, git or agent that starts in the checkout uses it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_gump.system.git.checkout_status import CheckoutStatus
    from pytest_gump.system.git.repository import Repository

PYTEST_FILES: Final = frozenset(
    {"conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini", "setup.cfg"}
    | {"pyproject.toml"}
)
"""Files that pytest reads when it starts, in the folders that contain the tests."""
_AT_TOP: Final = (
    *("gump.toml", "sitecustomize.py", "usercustomize.py", "*.pth", "setup.py", ".envrc", ".mcp.json"),
    *("opencode.json", "opencode.jsonc", ".worktreeinclude", ".gitattributes", ".gitmodules"),
)
_FOLDERS: Final = (
    *(".claude", ".codex", ".gemini", ".qwen", ".cursor", ".opencode", ".githooks", ".husky", ".gump/workflows"),
    *(".github/copilot", ".github/hooks"),
)
_OF_GIT: Final = ("config", "config.worktree", "info/attributes", "info/exclude", "info/sparse-checkout")
_MOST_FILES: Final = 1000
"""Most files that are read in one folder, because an agent's folder may contain whole worktrees."""
_MOST_BYTES: Final = 1 << 20


class CheckoutState(NamedTuple):
    """State of the user's checkout at one time."""

    tracked: Mapping[str, object]
    """HEAD, and the tracked files that differ from it."""
    watched: Mapping[str, str]
    """Digests of the files that programs use; empty for other untracked files."""

    def changed(self, now: CheckoutState) -> dict[str, str]:
        """Return `new`, `gone` or `changed` by name. Files that programs execute or use as configuration come first."""
        found = {name: _how(self.watched, now.watched, name) for name in _differing(self.watched, now.watched)}
        used = {name: how for name, how in found.items() if now.watched.get(name) or self.watched.get(name)}
        tracked = dict.fromkeys(_differing(self.tracked, now.tracked), "changed")
        return {**used, **{name: how for name, how in tracked.items() if name not in used}, **found}


def _differing(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def _how(before: Mapping[str, object], now: Mapping[str, object], name: str) -> str:
    return "new" if name not in before else "gone" if name not in now else "changed"


def checkout_state(repository: Repository, status: CheckoutStatus | None = None) -> CheckoutState:
    """Return the state of the checkout, to compare it with a later one.

    Args:
        repository: The user's repository.
        status: The current status of all files; by default, it is read from git.
    """
    status = status or repository.status()
    return CheckoutState(_tracked(repository.root, status), _watched(repository, status))


def _tracked(root: Path, status: CheckoutStatus) -> dict[str, object]:
    """Return HEAD, and status letters, time and size of each modified tracked file."""
    found: dict[str, object] = {"HEAD": status.head}
    for name, letters in status.modified.items():
        with contextlib.suppress(OSError):
            stamp = (root / name).lstat()
            found[name] = letters, stamp.st_mtime_ns, stamp.st_size
        found.setdefault(name, letters)
    return found


def _watched(repository: Repository, status: CheckoutStatus) -> dict[str, str]:
    """Return digests by the shown names of files. Other untracked files are included, with an empty digest."""
    found = {name: _digest(path) for name, path in _places(repository)}
    for name in status.untracked:
        if "__pycache__/" in name or name.endswith(".pyc"):
            continue
        is_read = name.rpartition("/")[2] in PYTEST_FILES
        found.setdefault(name, _digest(repository.root / name) if is_read else "")
    return found


def _places(repository: Repository) -> Iterator[tuple[str, Path]]:
    root, git_dir = repository.root, repository.git_dir
    for name in sorted(os.listdir(root)):  # noqa: PTH208
        if name in PYTEST_FILES or any(fnmatch.fnmatchcase(name, pattern) for pattern in _AT_TOP):
            yield name, root / name
    for folder in _FOLDERS:
        yield from ((f"{folder}/{name}", root / folder / name) for name in _below(root / folder))
    for name in _OF_GIT:
        if os.path.lexists(git_dir / name):
            yield f".git/{name}", git_dir / name
    hooks = repository.hooks_folder
    shown = os.path.relpath(hooks, root) if hooks.is_relative_to(root) else str(hooks)
    yield from ((f"{shown}/{name}", hooks / name) for name in _below(hooks) if not name.endswith(".sample"))


def _below(folder: Path) -> list[str]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    found = (os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sorted(os.path.relpath(path, folder) for path in islice(found, _MOST_FILES))


def _digest(path: Path) -> str:
    """Return a digest of the content, because times can be forged. Links are not followed."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return f"link {os.readlink(path)}"  # noqa: PTH115
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return f"{status.st_mode} {status.st_size} {status.st_mtime_ns}"
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        return f"{is_executable} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError as error:
        return f"unreadable: {error.strerror}"
