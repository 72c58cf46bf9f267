"""Folders of an attempt: its worktree, and a scratch folder for its output."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError
from pytest_gump.system.directory import Directory, new_folder
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.order import Order
    from pytest_gump.system.worktrees.slot import Slot


def folder_prefix(step: str, attempt: int) -> str:
    """Return the prefix of the name of an attempt's scratch folder."""
    return f"{StepPath.parse(step).folder}-a{attempt}-"


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folders of one attempt, and the mark and environment of its processes."""

    worktree: Path
    enter: Callable[[], Directory]
    """Returns the worktree's folder for a process that works in it; raises WorktreeError if it no longer exists."""
    files: Directory
    """The attempt's scratch folder."""
    mark: str
    environment: Mapping[str, str]
    """Variables added to the allow-list, for agents, gates and context commands."""
    _below: dict[str, Directory] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The scratch folder, as a path that is valid in this process."""
        return Path(self.files.access)

    @property
    def kept(self) -> str | None:
        """The scratch folder, as a path for other processes; None if an agent has removed or moved it."""
        return str(self.files.path) if self.files.is_there else None

    def subfolder(self, name: str) -> Path:
        """Create a folder in the scratch folder if it is missing; return a path that is valid in this process."""
        if name not in self._below:
            self.files.make_folders(name)
            self._below[name] = self.files.folder(name)
        return Path(self._below[name].access)


def make_workplace(order: Order, tools: Tools, slot: Slot) -> Workplace:
    """Create the attempt's scratch folder below `Tools.scratch`."""
    files = new_folder(Directory.open(tools.scratch), folder_prefix(order.step, order.attempt))
    environment = {
        **slot.environment,
        "GUMP_STEP": order.step,
        "GUMP_ATTEMPT_NUMBER": str(order.attempt),
    }
    if order.item is not None:
        environment |= {"GUMP_ITEM_NAME": order.item.name, "GUMP_ITEM_FILES": "\n".join(order.item.files)}
    mark = f"{order.run_id}-{files.path.name}"
    return Workplace(slot.path, slot.enter, files, mark, environment)


def scratch_of(scratch: Path, ticket: int) -> Path:
    """Return the scratch folder of one order, which the ticket alone determines."""
    return scratch / str(ticket)


def fresh_scratch(tools: Tools, ticket: int) -> Path:
    """Create the scratch folder of an order; remove one of an earlier order with the same ticket.

    Raises:
        WorktreeError: The folder cannot be created.
    """
    try:
        run = run_scratch(tools)
        run.remove(str(ticket))
        return run.own(str(ticket)).path
    except OSError as error:
        raise WorktreeError(f"cannot write {tools.scratch}: {error.strerror}") from error


def run_scratch(tools: Tools) -> Directory:
    """Return the folder of a run's scratch folders, and create it if it is missing.

    It is next to the slots, except on remote workers.
    """
    root = tools.slots.folder.renew()
    if tools.scratch.parent == root.path:
        return root.own(tools.scratch.name)
    return Directory.open(tools.scratch.parent).own(tools.scratch.name)


def remove_scratch(tools: Tools) -> None:
    """Remove a run's scratch folder; ignore errors."""
    with suppress(OSError, WorktreeError):
        root = tools.slots.folder.existing()
        if root is not None:
            root.remove(tools.scratch.name)


def attempt_folder(scratch: Path, ticket: int) -> Path | None:
    """Return the folder with the files of an order; None if it has not written any."""
    folder = scratch_of(scratch, ticket)
    return next((path for path in folder.iterdir() if path.is_dir()), None) if folder.is_dir() else None
