"""Storage of a worker that shares no disk with the controller.

The controller sends commits as packs. The worker stores them in a repository of its own below
`$XDG_CACHE_HOME/gump/remote/` (`~/.cache` if the variable is not set) and works in worktrees next to it. `transfer`
describes what it sends back. The conversation of an agent CLI stays on the worker's host.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.system.cache import hold, remote_root
from pytest_gump.system.git.pack import open_mirror, pack_trees
from pytest_gump.system.worktrees.pool import SlotPool

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.slots import Slots

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class CheckoutLocation:
    """Identifies the controller's checkout, so that a worker can check if it has access to the same folder."""

    project: str
    machine: str
    folder: tuple[int, int]
    """Device and inode."""

    @classmethod
    def at(cls, project: Path) -> CheckoutLocation:
        status = project.stat()
        return cls(str(project), _machine(), (status.st_dev, status.st_ino))

    def is_here(self) -> bool:
        """True if this process can work in the checkout's own repository."""
        try:
            same = CheckoutLocation.at(Path(self.project))
        except OSError:
            return False
        return (same.machine, same.folder) == (self.machine, tuple(self.folder)) and os.access(self.project, os.W_OK)


def _machine() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else socket.gethostname()


class RemoteHome:
    """A worker's folder for the project of one run."""

    def __init__(self, *, run_id: str, machine: str, project: str, python: str, object_format: str) -> None:
        """Create nothing on disk yet.

        Args:
            run_id: Names the scratch folder of the run.
            machine: Host name of the controller.
            project: The controller's path of the project.
            python: The controller's interpreter, as it is written in gate commands.
            object_format: The object format of the repository: `sha1` or `sha256`.
        """
        name = hashlib.sha256(f"{machine} {project}".encode()).hexdigest()[:8]
        self.path = remote_root() / f"{Path(project).name}-{name}"
        self.scratch = self.path / f"{run_id}.scratch"
        self._python = python
        self._object_format = object_format
        self._handle: int | None = None
        """Handle of a lock that prevents `gump gc --remote` from removing the folder."""
        self._pool: SlotPool | None = None
        self._free: list[str] = []
        """Slots that this process has leased and that no order uses."""

    @property
    def slots_root(self) -> Path:
        return self.path / "worktrees"

    def receive(self, pack: bytes, commits: Collection[str]) -> Repository:
        """Store the commits of an order and return the repository that contains them.

        Raises:
            WorktreeError: The repository cannot be written, or the pack is damaged.
        """
        if self._handle is None:
            self._handle = hold(self.path)
        return open_mirror(self.path / "project", object_format=self._object_format, pack=pack, commits=commits)

    def own(self, order: Order, slots: Slots) -> Order:
        """Return the order with worktree slots and the interpreter of this host. `release` frees the slots."""
        session = order.session
        if self._pool is None:
            self._pool = SlotPool(slots)
        slot = self._lease(self._pool, None if session is None else session.slot)
        side = self._lease(self._pool, None) if order.side else ""
        there, here = self._python, sys.executable
        commands = tuple((kind, text.replace(shlex.quote(there), shlex.quote(here))) for kind, text in order.commands)
        if session is not None:
            session = replace(session, slot=slot if session.slot == self._full(slot) else "elsewhere")
        return replace(order, slot=slot, side=side, commands=commands, session=session)

    def _lease(self, pool: SlotPool, wanted: str | None) -> str:
        """Lease an unused slot, if possible the one of the conversation that the order continues."""
        for slot in sorted(self._free, key=lambda slot: self._full(slot) != wanted):
            self._free.remove(slot)
            if pool.holds(slot):
                return slot
        return pool.lease()

    def release(self, slots: Sequence[str], *, is_clean: bool) -> None:
        """Free the slots of an order after it has ended.

        Args:
            slots: Names of the slots.
            is_clean: False if processes may still be running in them. They are not used again.
        """
        if is_clean:
            self._free += slots
            return
        for slot in slots:
            if self._pool is not None:
                self._pool.mark_suspect(slot)

    def foreign(self, order: Order, result: AttemptResult) -> AttemptResult:
        """Return the result in the controller's terms: the slot of its conversation names this host.

        The conversation of an agent's part that has ended before is in these terms already.
        """
        if result.session is None or order.agent_part is not None:
            return result
        return replace(result, session=replace(result.session, slot=self._full(result.session.slot or order.slot)))

    def _full(self, slot: str) -> str:
        digest = hashlib.sha256(os.fsencode(self.slots_root)).hexdigest()[:6]
        return f"{socket.gethostname()}-{digest}-{slot}"

    def recording(self, ticket: int) -> Path:
        """Return the folder of an attempt's recording. It exists until it is sent."""
        return self.scratch / f"{ticket}.take"

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


# -- the controller's side -------------------------------------------------------------------------------------------


def commits_of(order: Order) -> list[str]:
    return [*dict.fromkeys((order.base, order.step_base, order.run_base))]


def pack_for(repository: Repository, order: Order, known: Collection[str]) -> tuple[bytes, list[str]]:
    """Return a pack of the commits that a worker needs for the order but does not have, and their ids."""
    missing = [commit for commit in commits_of(order) if commit not in known]
    return (pack_trees(repository, missing, known) if missing else b""), missing
