"""A worker that shares no disk with the controller: what it gets, and where it keeps it.

The controller sends commits as packs; the worker keeps them in a repository of its own below
`$XDG_CACHE_HOME/gump/remote/` (`~/.cache` where that is not set), works in worktrees beside it, and sends back what
`transfer` says. A conversation of an agent CLI stays on its host.
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
    from collections.abc import Collection

    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.slots import Slots

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class CheckoutLocation:
    """The controller's checkout, described so that a worker can find out whether it sees the same one."""

    project: str
    machine: str
    folder: tuple[int, int]
    """Device and inode."""

    @classmethod
    def at(cls, project: Path) -> CheckoutLocation:
        status = project.stat()
        return cls(str(project), _machine(), (status.st_dev, status.st_ino))

    def is_here(self) -> bool:
        """Whether this process can work in the checkout's own repository."""
        try:
            same = CheckoutLocation.at(Path(self.project))
        except OSError:
            return False
        return (same.machine, same.folder) == (self.machine, tuple(self.folder)) and os.access(self.project, os.W_OK)


def _machine() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else socket.gethostname()


class RemoteHome:
    """What a worker keeps of one run's project."""

    def __init__(self, *, run_id: str, machine: str, project: str, python: str, object_format: str) -> None:
        """`python` is the interpreter that the gate commands of the controller name."""
        name = hashlib.sha256(f"{machine} {project}".encode()).hexdigest()[:8]
        self.path = remote_root() / f"{Path(project).name}-{name}"
        self.scratch = self.path / f"{run_id}.scratch"
        self._python = python
        self._object_format = object_format
        self._handle: int | None = None
        """Keeps `gump gc --remote` from removing it."""
        self._pool: SlotPool | None = None
        self._free: list[str] = []
        """Slots that this process has leased and in which no order runs."""

    @property
    def slots_root(self) -> Path:
        return self.path / "worktrees"

    def receive(self, pack: bytes, commits: Collection[str]) -> Repository:
        """Take in the commits of an order; gives the repository that has them.

        Raises:
            WorktreeError: it cannot be written, or the pack is damaged.
        """
        if self._handle is None:
            self._handle = hold(self.path)
        return open_mirror(self.path / "project", object_format=self._object_format, pack=pack, commits=commits)

    def own(self, order: Order, slots: Slots) -> Order:
        """The order as it is carried out here: in a worktree of its own until `release`, with this interpreter."""
        session = order.session
        if self._pool is None:
            self._pool = SlotPool(slots)
        slot = self._lease(self._pool, None if session is None else session.slot)
        there, here = self._python, sys.executable
        commands = tuple((kind, text.replace(shlex.quote(there), shlex.quote(here))) for kind, text in order.commands)
        if session is not None:
            session = replace(session, slot=slot if session.slot == self._full(slot) else "elsewhere")
        return replace(order, slot=slot, commands=commands, session=session)

    def _lease(self, pool: SlotPool, wanted: str | None) -> str:
        """A slot that nothing runs in; best the one in which a conversation is to be continued."""
        for slot in sorted(self._free, key=lambda slot: self._full(slot) != wanted):
            self._free.remove(slot)
            if pool.holds(slot):
                return slot
        return pool.lease()

    def release(self, slot: str, *, is_clean: bool) -> None:
        """The order in this slot has ended; a slot that is not clean, in which something may run, is not used again."""
        if is_clean:
            self._free.append(slot)
        elif self._pool is not None:
            self._pool.mark_suspect(slot)

    def foreign(self, result: AttemptResult, slot: str) -> AttemptResult:
        """The result as the controller knows it: its session belongs to this host."""
        if result.session is None:
            return result
        return replace(result, session=replace(result.session, slot=self._full(result.session.slot or slot)))

    def _full(self, slot: str) -> str:
        digest = hashlib.sha256(os.fsencode(self.slots_root)).hexdigest()[:6]
        return f"{socket.gethostname()}-{digest}-{slot}"

    def recording(self, ticket: int) -> Path:
        """The folder of an attempt's recording until it is sent."""
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
    """What a worker lacks to carry out the order, and the commits that it has then."""
    missing = [commit for commit in commits_of(order) if commit not in known]
    return (pack_trees(repository, missing, known) if missing else b""), missing
