"""Ends the processes of a command if its keeper and the supervisor were both killed. This process adopts them."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from pytest_gump.system.processes.keeper import become_subreaper
from pytest_gump.system.processes.process_table import Process, below, child_pids, marked, read_process, send

if TYPE_CHECKING:
    from types import TracebackType

_KILL_S: Final = 5.0
_POLL_S: Final = 0.002


class AdoptedOrphans:
    """Makes this process adopt the orphans of a command while it runs (Linux).

    Only new children in another process session count as orphans: every command has its own session, and other
    children of pytest are in the session of pytest. For processes that are not part of a command, the only change is
    that this process adopts their orphans while the command runs.
    """

    def __enter__(self) -> Self:
        self._known = set(_children())
        self._adopts = become_subreaper()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._adopts:
            become_subreaper(wanted=False)

    def end(self) -> int:
        """Kill all orphans and their descendants. Return the number of processes left after 5 seconds."""
        deadline = time.monotonic() + _KILL_S
        alive: list[Process] = []
        while self._adopts and (orphans := self._orphans()):
            alive = [process for orphan in orphans for process in (orphan, *below(orphan.pid))]
            if time.monotonic() > deadline:
                break
            for process in alive:
                send(process, signal.SIGKILL)
        else:
            alive = []
        self._reap()
        return len(alive)

    def _reap(self) -> None:
        """Reap the orphans that have ended."""
        for pid in set(child_pids(os.getpid())) - {process.pid for process in self._known}:
            with suppress(OSError):
                if os.getsid(pid) != os.getsid(0):
                    os.waitpid(pid, os.WNOHANG)

    def _orphans(self) -> list[Process]:
        session = os.getsid(0)
        return [process for process in _children() if process not in self._known and process.session != session]


def _children() -> list[Process]:
    return [process for pid in child_pids(os.getpid()) if (process := read_process(pid)) is not None]


def end_marked(mark: str, limit_s: float) -> int:
    """Kill all processes with the mark, on systems where orphans are not adopted. Return the number of those left."""
    deadline = time.monotonic() + limit_s
    while (alive := marked(mark)) and time.monotonic() < deadline:
        for process in alive:
            send(process, signal.SIGKILL)
        time.sleep(_POLL_S)
    return len(alive)
