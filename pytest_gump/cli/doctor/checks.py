"""`gump doctor`: checks of git, Python, pytest plugins, disk, worktrees and environment variables."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.cli.doctor.agents import environment_of
from pytest_gump.engine.checks.withheld import hint, needed_often
from pytest_gump.errors import WorktreeError
from pytest_gump.system.environment import child_environment
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.git.runner import GitRunner, check_version
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.agents.base import Agent
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.worktrees.slot import Slot

CheckState = Literal["ok", "note", "failed"]
"""`note` does not prevent a run. `failed` prevents it."""

LITTLE_BYTES: Final = 1_000_000_000
"""Free disk space below which a check has a note."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: CheckState
    value: str
    hint: str = ""


def machine_checks(root: Path, settings: Settings, *, is_needed: bool) -> Iterator[Check]:
    """Yield the checks of the machine. One of them creates and removes a worktree.

    Without a repository, the check of it fails if `is_needed`; otherwise it is a note.
    """
    yield from _git()
    yield Check("python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield from _plugins()
    try:
        repository = Repository.open(root)
    except WorktreeError as error:
        yield Check("repository", "failed" if is_needed else "note", str(error.args[0]), error.hint or "")
        yield _disk("disk of runs", root)
        return
    yield Check("repository", "ok", str(repository.root))
    slots = Slots.default_root(repository, settings.worktrees)
    yield _disk("disk of runs", repository.root / ".gump")
    yield _disk("disk of worktrees", slots)
    yield _worktree(repository, slots)


def _git() -> Iterator[Check]:
    try:
        version = check_version()
    except WorktreeError as error:
        yield Check("git", "failed", str(error.args[0]), error.hint or "")
        return
    yield Check("git", "ok", version.removeprefix("git version "))
    values = GitRunner().run("config", "--null", "--get-regexp", r"^user\.(name|email)$").fields
    who = {key: value for key, _, value in (field.partition("\n") for field in values)}
    name, email = who.get("user.name"), who.get("user.email")
    user = f"{name} <{email}>" if name and email else "user.name or user.email is not set (optional)"
    yield Check("git identity", "ok", user)


def _plugins() -> Iterator[Check]:
    found = {"pytest": "pytest", "pytest-gump": "plugin", "pytest-xdist": "xdist"}
    for package, name in found.items():
        try:
            yield Check(name, "ok", f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Check(name, "failed", f"{package} is not installed", f"pip install {package}")
    if "gump" not in {entry.name for entry in metadata.entry_points(group="pytest11")}:
        yield Check(
            "plugin", "failed", "not registered with pytest: the entry point is missing", "pip install pytest-gump"
        )
    elif os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        yield Check(
            "plugin", "note", "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set", "load the plugin explicitly: pytest -p gump ..."
        )


def _disk(name: str, folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    space = f"{free / 1e9:.1f} GB free at {existing}"
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(name, "failed", f"{existing} is not writable")
    if free < LITTLE_BYTES:
        return Check(name, "note", space, "each run stores its streams, and each worktree is a full checkout")
    return Check(name, "ok", space)


def _worktree(repository: Repository, root: Path) -> Check:
    began = time.monotonic()
    try:
        with temporary_slot(repository, root) as slot:
            head = repository.head()
            slot.prepare(head)
            files = len(repository.list_files(head))
            took_s = time.monotonic() - began
    except (WorktreeError, OSError) as error:
        return Check("worktree", "failed", f"cannot be created in {root}: {error.args[-1]}")
    return Check("worktree", "ok", f"created with {files} files in {took_s:.1f}s, and removed, in {root}")


def environment_checks(settings: Settings, agents: Iterable[Agent]) -> Iterator[Check]:
    """Yield notes about cloud and toolchain variables that are set but not passed to agents or gates."""
    passed = set(settings.agent_env).union(*(environment_of(agent, Path.cwd()) for agent in agents))
    kept = (
        ("agents", passed, "gump_agent_env"),
        ("gates", child_environment(settings.gate_env), "gump_gate_env"),
    )
    for whose, names, setting in kept:
        if found := needed_often(names):
            yield Check(f"environment of {whose}", "note", hint(found, whose, setting))


@contextmanager
def temporary_slot(repository: Repository, root: Path) -> Iterator[Slot]:
    """Yield a worktree slot in `root` and remove it at the end. Remove `root` too if it did not exist before."""
    was_there = root.exists()
    slot = Slots(repository, root).slot(f"doctor-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        yield slot
    finally:
        with suppress(OSError):
            slot.discard()
        if not was_there:
            _remove_empty(root)


def _remove_empty(root: Path) -> None:
    """Remove the folder of slots, unless a run has started in it meanwhile."""
    if root.is_dir() and [entry.name for entry in root.glob("*")] in ([], [".gitignore"]):
        (root / ".gitignore").unlink(missing_ok=True)
        root.rmdir()
