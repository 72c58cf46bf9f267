"""The supervisor: a small program that forks keepers, which run commands, and ends the processes of killed keepers.

`process.Supervisor` starts it once per executor with one end of a unix socket pair, the executor's pid and, if there is
one, a control group to join. It runs no commands itself, so an agent that kills its parent kills only the keeper. When
the other end of the pair closes or the executor ends, it ends all processes and exits. Its exit code is the number of
processes that it could not end.

From the executor, over the pair:
    one byte with a descriptor: the channel of a new keeper
    one byte without a descriptor: kill all keepers and their processes; the answer is one byte, the number that is left
From the executor to a keeper, over that channel: a frame (4 bytes of length, then JSON). Bytes are sent as Latin-1. A
frame with the `op` `run` comes with descriptors: the working folder if `cwd` is null, then 0, 1, 2 and, if wanted, 3 of
the child.
    {"op": "run", "argv": [...], "env": {...}, "cwd": "...", "mark": "...", "grace": 3.0}
    {"op": "stop"}
From a keeper, one JSON object per line:
    {"event": "started", "pid": 1}
    {"event": "failed", "stage": "exec" | "cwd", "errno": 2}
    {"event": "ended", "status": wait status, "left": n, "unkilled": n}
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Final

from pytest_gump.system.processes.keeper import END, Keeper, become_subreaper, drain, kill_children, wake_pipe
from pytest_gump.system.processes.process_table import below, child_pids

_KEEPERS_S: Final = 8.0
"""Time to wait for keepers to end their commands. A keeper needs at most 2 seconds of grace and 5 to kill."""
_KILL_S: Final = 5.0
_MOST: Final = 100
"""Largest number of processes that is reported: an answer and an exit code have only eight bits."""


class Server:
    def __init__(self, channel: socket.socket, executor: int) -> None:
        self.channel = channel
        self.executor = executor
        self.keepers: set[int] = set()
        self.wake = wake_pipe()
        become_subreaper()

    def serve(self) -> int:
        """Run until the executor ends. Return the number of processes that survived."""
        while os.getppid() == self.executor:
            ready, _, _ = select.select([self.channel.fileno(), self.wake], [], [], 1.0)
            drain(self.wake)
            self.end_orphans()
            if self.channel.fileno() in ready and not self.obey():
                break
        return self.close()

    def obey(self) -> bool:
        """Handle one request. Return False if the executor has ended."""
        try:
            request, descriptors, _, _ = socket.recv_fds(self.channel, 1, 1)
        except OSError:
            return False
        if not request:
            return False
        for descriptor in descriptors:
            self.fork(descriptor)
        if not descriptors:
            with suppress(OSError):
                self.channel.sendall(bytes([min(self.kill(), _MOST)]))
        return True

    def fork(self, descriptor: int) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                self.channel.close()
                os.close(self.wake)
                with socket.socket(fileno=descriptor) as channel:
                    channel.set_inheritable(False)
                    Keeper(channel).serve()
            finally:
                os._exit(0)
        self.keepers.add(pid)
        os.close(descriptor)

    def end_orphans(self) -> int:
        """End the processes of killed keepers. Return the number that survived."""
        if not self.reap():
            return 0
        kill_children(self.reap, self.keepers)
        orphans = set(child_pids(os.getpid())) - self.keepers
        return sum(1 + len(below(pid)) for pid in orphans)

    def reap(self) -> bool:
        """Reap ended children. Return True if others are alive. Kill suspended keepers: they cannot end commands."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if os.WIFSTOPPED(status):
                if pid in self.keepers:
                    os.kill(pid, signal.SIGKILL)
            else:
                self.keepers.discard(pid)

    def close(self) -> int:
        """Let every keeper end its command, then kill the rest. Return the number of processes that survived."""
        for keeper in self.keepers:
            os.kill(keeper, END)
        self._await_keepers(_KEEPERS_S)
        return self.kill()

    def kill(self) -> int:
        """Kill all keepers and their processes. Return the number of processes that survived."""
        for keeper in self.keepers:
            os.kill(keeper, signal.SIGKILL)
        self._await_keepers(_KILL_S)
        return self.end_orphans()

    def _await_keepers(self, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while self.reap() and self.keepers and time.monotonic() < deadline:
            select.select([self.wake], [], [], 0.05)
            drain(self.wake)


def main() -> None:
    """Run as `python -c PROGRAM supervisor.py FD PID CGROUP`. CGROUP is empty if there is no group."""
    _, descriptor, executor, cgroup = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if cgroup:
        from pytest_gump.system.processes.cgroup import join_cgroup, leave_cgroup  # takes a tenth of the start time

        join_cgroup(cgroup)
    with socket.socket(fileno=int(descriptor)) as channel:
        channel.set_inheritable(False)
        left = Server(channel, int(executor)).serve()
    if cgroup and os.getppid() != int(executor):
        leave_cgroup(cgroup)
    sys.exit(min(left, _MOST))
