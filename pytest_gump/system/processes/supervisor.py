"""The supervisor: a small program that forks keepers of commands, and ends what a killed keeper leaves.

`process.Supervisor` starts it once per executor, with its end of a unix socket pair, the executor's pid and perhaps a
control group to join. It does no work of a command itself, so an agent that kills its parent kills the keeper only.
When the other end of the pair closes, or the executor's pid is gone, it ends everything and exits; its exit code is
the number of processes that it could not end.

From the executor, over the pair:
    one byte with a descriptor: the channel of a new keeper
    one byte without: kill all keepers and what they keep; the answer is a byte, the number of processes left
From the executor to a keeper, over that channel: a frame (4 bytes of length, then JSON); when `op` is `run`, with
descriptors 0, 1, 2 of the child and perhaps 3, and before them that of the folder to start in if `cwd` is null; bytes
as Latin-1.
    {"op": "run", "argv": [...], "env": {...}, "cwd": "...", "mark": "...", "grace": 3.0}
    {"op": "stop"}
From a keeper: one JSON object a line.
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
"""A keeper needs at most its own grace and kill times to end its command."""
_KILL_S: Final = 5.0
_MOST: Final = 100


class Server:
    def __init__(self, channel: socket.socket, executor: int) -> None:
        self.channel = channel
        self.executor = executor
        self.keepers: set[int] = set()
        self.wake = wake_pipe()
        become_subreaper()

    def serve(self) -> int:
        """Run until the executor has gone; returns the number of processes that could not be ended."""
        while os.getppid() == self.executor:
            ready, _, _ = select.select([self.channel.fileno(), self.wake], [], [], 1.0)
            drain(self.wake)
            self.end_orphans()
            if self.channel.fileno() in ready and not self.obey():
                break
        return self.close()

    def obey(self) -> bool:
        """Carry out one request; False when the executor has gone."""
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
        """End what killed keepers left; returns how many processes could not be ended."""
        if not self.reap():
            return 0
        kill_children(self.reap, self.keepers)
        orphans = set(child_pids(os.getpid())) - self.keepers
        return sum(1 + len(below(pid)) for pid in orphans)

    def reap(self) -> bool:
        """Collect the dead; True while there are living children. A keeper that was stopped can keep nothing."""
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
        """Let every keeper end its command, then end what is left."""
        for keeper in self.keepers:
            os.kill(keeper, END)
        self._await_keepers(_KEEPERS_S)
        return self.kill()

    def kill(self) -> int:
        """KILL every keeper and what it leaves; returns the number of processes that could not be ended."""
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
    """Run as `python -c PROGRAM supervisor.py FD PID CGROUP`; an empty CGROUP stands for none."""
    _, descriptor, executor, cgroup = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if cgroup:
        from pytest_gump.system.processes.cgroup import join_cgroup, leave_cgroup  # a tenth of the start time

        join_cgroup(cgroup)
    with socket.socket(fileno=int(descriptor)) as channel:
        channel.set_inheritable(False)
        left = Server(channel, int(executor)).serve()
    if cgroup and os.getppid() != int(executor):
        leave_cgroup(cgroup)
    sys.exit(min(left, _MOST))
