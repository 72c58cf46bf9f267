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
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pytest_gump.system.processes.cgroup import create_cgroup, kill_cgroup, remove_cgroup
from pytest_gump.system.processes.command import LOSS_WAIT_S, LOST, Exit, Request, Running
from pytest_gump.system.processes.orphans import Orphanage, end_marked
from pytest_gump.system.processes.output import LineSplitter
from pytest_gump.system.processes.process_table import HAS_PROC

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Exit", "Request", "Supervisor"]


class _Program(NamedTuple):
    """The supervisor process."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    cgroup: Path | None

    def end_orphans(self) -> int | None:
        """Let it end what is left; returns how many processes remain, None when it does not answer."""
        self.process.send_signal(signal.SIGCONT)  # a command may have stopped it
        try:
            self.channel.settimeout(LOSS_WAIT_S)
            self.channel.sendall(b"?")
            answer = self.channel.recv(1)
        except OSError:
            return None
        self.channel.setblocking(True)
        return answer[0] if answer else None

    def end(self) -> int:
        """Close the channel, which ends everything, and wait for that; returns how many processes remain."""
        self.channel.close()
        self.process.send_signal(signal.SIGCONT)
        if not _ends_within(self.process, LOSS_WAIT_S):
            self.process.kill()
        left = max(0, self.process.wait())
        if self.cgroup is not None and kill_cgroup(self.cgroup):
            remove_cgroup(self.cgroup)
            return 0
        return left


class Supervisor:
    """Runs one command at a time under a keeper; a supervisor process forks keepers, a new one when one is lost.

    The supervisor starts with the `with` block, or otherwise with the first command.
    Where the system delegates control groups to this user, everything that runs is in one: see `cgroup`.
    """

    def __init__(self, *, with_cgroup: bool = True) -> None:
        self._with_cgroup = with_cgroup
        self._program: _Program | None = None
        self._keeper: socket.socket | None = None

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
            if finished.error == LOST or finished.unkilled:
                stack.close()
                self._drop_keeper()
                finished = replace(finished, unkilled=self._end_rest(request.mark, orphanage))
        return finished

    def close(self) -> None:
        """End the supervisor process, and with it whatever still runs."""
        self._abandon()

    @property
    def pid(self) -> int | None:
        return None if self._program is None else self._program.process.pid

    @property
    def cgroup(self) -> Path | None:
        """None while no supervisor runs, and where there is no delegation."""
        return None if self._program is None else self._program.cgroup

    def _take_keeper(self) -> socket.socket:
        """The channel to a keeper: that of the previous command, as long as the keeper lives."""
        if self._keeper is not None and select.select([self._keeper], [], [], 0)[0]:
            self._drop_keeper()
        if self._keeper is None:
            channel = self._started().channel
            self._keeper, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with theirs, contextlib.suppress(OSError):  # a lost supervisor shows as end of file
                socket.send_fds(channel, [b"k"], [theirs.fileno()])
        return self._keeper

    def _drop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()

    def _started(self) -> _Program:
        if self._program is not None and self._program.process.poll() is None:
            return self._program
        self._abandon()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        flags = ["-I", "-S"] if HAS_PROC else ["-I"]
        cgroup = create_cgroup() if self._with_cgroup else None
        arguments = [_FILE, str(theirs.fileno()), str(os.getpid()), str(cgroup or "")]
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, *flags, "-c", _PROGRAM, *arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            if cgroup is not None:
                remove_cgroup(cgroup)
            raise
        self._program = _Program(process, ours, cgroup)
        return self._program

    def _end_rest(self, mark: str, orphanage: Orphanage) -> int:
        """End what a lost keeper left or could not end; returns how many processes remain."""
        left = None if self._program is None else self._program.end_orphans()
        if left is None or left:
            left = self._abandon(orphanage)
        if not HAS_PROC:
            left += end_marked(mark, LOSS_WAIT_S)
        return left

    def _abandon(self, orphanage: Orphanage | None = None) -> int:
        """Close the channel, which ends everything, and wait for that; returns how many processes remain."""
        program, self._program = self._program, None
        self._drop_keeper()
        left = 0 if program is None else program.end()
        return left if orphanage is None else orphanage.end()


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
