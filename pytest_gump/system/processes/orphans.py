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
    from collections.abc import Sequence
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
        """Kill all orphans and their descendants. Return the number of processes left after 5 seconds.

        An orphan counts until it is reaped: its own children become orphans when it ends, not when it gets the signal.
        """
        deadline = time.monotonic() + _KILL_S
        while self._adopts and (orphans := self._orphans()):
            alive = [process for pid in orphans for process in (read_process(pid), *below(pid)) if process is not None]
            if time.monotonic() > deadline:
                return len(alive)
            for process in alive:
                send(process, signal.SIGKILL)
            _reap(orphans)
        _reap(self._orphans())
        return 0

    def _orphans(self) -> list[int]:
        """Return the pids of the orphans, zombies included. A known pid that a new process has counts as one."""
        session = os.getsid(0)
        known = {process.pid for process in self._known if read_process(process.pid) in {process, None}}
        return [pid for pid in child_pids(os.getpid()) if pid not in known and _session(pid) not in {session, None}]


def _reap(pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.waitpid(pid, os.WNOHANG)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


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
