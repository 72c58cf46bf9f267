"""What `gump doctor` looks at on this machine: git, Python, pytest and its plugins, disk, worktrees, variables."""

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
"""`note`: nothing stops, but a person should know. `failed`: what was asked for cannot work."""

LITTLE_BYTES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: CheckState
    value: str
    hint: str = ""


def machine_checks(root: Path, settings: Settings, *, is_needed: bool) -> Iterator[Check]:
    """Everything but the agents; a slot is really made and removed.

    `is_needed`: a repository is asked for, as by a workflow; without one it is no failure to be outside of any.
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
    user = f"{name} <{email}>" if name and email else "user.name and user.email are not both set; runs do without"
    yield Check("git identity", "ok", user)


def _plugins() -> Iterator[Check]:
    found = {"pytest": "pytest", "pytest-gump": "plugin", "pytest-xdist": "xdist"}
    for package, name in found.items():
        try:
            yield Check(name, "ok", f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            yield Check(name, "failed", f"{package} is not installed", f"pip install {package}")
    if "gump" not in {entry.name for entry in metadata.entry_points(group="pytest11")}:
        yield Check("plugin", "failed", "pytest does not know it: no entry point", "pip install pytest-gump")
    elif os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        yield Check("plugin", "note", "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set", "name it: pytest -p gump ...")


def _disk(name: str, folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    free = shutil.disk_usage(existing).free
    space = f"{free / 1e9:.1f} GB free at {existing}"
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check(name, "failed", f"{existing} cannot be written")
    if free < LITTLE_BYTES:
        return Check(name, "note", space, "every run keeps its streams; every worktree is a whole checkout")
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
        return Check("worktree", "failed", f"cannot be made below {root}: {error.args[-1]}")
    return Check("worktree", "ok", f"made with {files} files in {took_s:.1f}s, and removed, below {root}")


def environment_checks(settings: Settings, agents: Iterable[Agent]) -> Iterator[Check]:
    """Name variables of clouds and toolchains that are not passed. Whether anything needs them is unknown."""
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
    """A worktree slot below `root`. Both are removed at the end, `root` only if it did not exist before."""
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
    """Leave no trace of the folder of slots, unless a run has begun in it meanwhile."""
    if root.is_dir() and [entry.name for entry in root.glob("*")] in ([], [".gitignore"]):
        (root / ".gitignore").unlink(missing_ok=True)
        root.rmdir()
