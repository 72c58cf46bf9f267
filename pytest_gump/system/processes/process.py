"""A child process: runs one command under the supervisor, stores its output, and passes on its lines."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pytest_gump.system.processes.cgroup import create_cgroup, kill_cgroup, remove_cgroup
from pytest_gump.system.processes.command import LOSS_WAIT_S, LOST, Exit, Request, Running
from pytest_gump.system.processes.orphans import Orphanage, end_marked
from pytest_gump.system.processes.output import LineSplitter
from pytest_gump.system.processes.process_table import HAS_PROC

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Exit", "Request", "Supervisor"]


class Supervisor:
    """Runs one command at a time under a keeper; a supervisor process forks keepers, a new one when one is lost.

    The supervisor starts with the `with` block, or otherwise with the first command.
    Where the system delegates control groups to this user, everything that runs is in one: see `cgroup`.
    """

    def __init__(self, *, with_cgroup: bool = True) -> None:
        self._with_cgroup = with_cgroup
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._keeper: socket.socket | None = None
        self.cgroup: Path | None = None
        """None while no supervisor runs, and where there is no delegation."""

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # the first command tries again and reports the error
            self._take_keeper()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(
        self,
        request: Request,
        *,
        timeout_s: float | None = None,
        on_line: Callable[[bytes], str | None] | None = None,
        on_tick: Callable[[], str | None] | None = None,
        on_oversize: Callable[[int], None] | None = None,
        grace_s: float = 3.0,
    ) -> Exit:
        """Run to the end of the whole tree; nothing that it started lives afterwards.

        A text returned by `on_line` or `on_tick` (five times a second) stops the tree. Lines over 16 MiB only go to
        the file; `on_oversize` gets their size. Any exception, KeyboardInterrupt included, stops the tree first.
        """
        splitter = LineSplitter(on_line, on_oversize)
        with Orphanage() as orphanage, contextlib.ExitStack() as stack:
            try:
                running = Running(self._take_keeper(), request, splitter, stack, grace_s)
                running.launch()
                finished = running.follow(timeout_s, on_tick)
            except BaseException:
                stack.close()
                self._abandon(orphanage)
                raise
            if finished.error == LOST or finished.survivors:
                stack.close()
                self._drop_keeper()
                finished = replace(finished, survivors=self._end_rest(request.mark, orphanage))
        return finished

    def close(self) -> None:
        """End the supervisor process, and with it whatever still runs."""
        self._abandon()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _take_keeper(self) -> socket.socket:
        """The channel to a keeper: that of the previous command, as long as the keeper lives."""
        if self._keeper is not None and select.select([self._keeper], [], [], 0)[0]:
            self._drop_keeper()
        if self._keeper is None:
            supervisor = self._start()
            self._keeper, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with theirs, contextlib.suppress(OSError):  # a lost supervisor shows as end of file
                socket.send_fds(supervisor, [b"k"], [theirs.fileno()])
        return self._keeper

    def _drop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def _start(self) -> socket.socket:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self._abandon()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        flags = ["-I", "-S"] if HAS_PROC else ["-I"]
        self.cgroup = create_cgroup() if self._with_cgroup else None
        place = "" if self.cgroup is None else str(self.cgroup)
        with theirs:
            self._channel = ours
            self._process = subprocess.Popen(
                [sys.executable, *flags, "-c", _PROGRAM, _FILE, str(theirs.fileno()), str(os.getpid()), place],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
                start_new_session=True,
            )
        return ours

    def _end_rest(self, mark: str, orphanage: Orphanage) -> int:
        """End what a lost keeper left or could not end; returns how many processes remain."""
        left = self._orphans()
        if left is None or left:
            left = self._abandon(orphanage)
        if not HAS_PROC:
            left += end_marked(mark, LOSS_WAIT_S)
        return left

    def _orphans(self) -> int | None:
        """Let the supervisor end what is left; None when it does not answer."""
        assert self._channel is not None  # noqa: S101 - a command has just run
        assert self._process is not None  # noqa: S101
        self._process.send_signal(signal.SIGCONT)  # a command may have stopped it
        try:
            self._channel.settimeout(LOSS_WAIT_S)
            self._channel.sendall(b"?")
            answer = self._channel.recv(1)
        except OSError:
            return None
        self._channel.setblocking(True)
        return answer[0] if answer else None

    def _abandon(self, orphanage: Orphanage | None = None) -> int:
        """Close the channel, which ends everything, and wait for that; returns how many processes remain."""
        channel, self._channel = self._channel, None
        process, self._process = self._process, None
        cgroup, self.cgroup = self.cgroup, None
        self._drop_keeper()
        if channel is not None:
            channel.close()
        if process is not None:
            process.send_signal(signal.SIGCONT)
        left = 0 if process is None else _wait_or_kill(process)
        if cgroup is not None and kill_cgroup(cgroup):
            left = 0
            remove_cgroup(cgroup)
        return left if orphanage is None else orphanage.end()


def _wait_or_kill(process: subprocess.Popen[bytes]) -> int:
    if not _ends_within(process, LOSS_WAIT_S):
        process.kill()
    return max(0, process.wait())


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    if not HAS_PROC:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.returncode is not None
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


_FILE: Final = str(Path(__file__).with_name("supervisor.py"))
_PROGRAM: Final = (
    "import os, sys; sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(sys.argv[1])))));"
    "from pytest_gump.system.processes.supervisor import main; main()"
)
"""Isolated: nothing from the user's Python environment is loaded; this package is last on the path."""
