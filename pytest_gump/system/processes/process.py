"""Runs one command under the supervisor, stores its output, and passes on its lines."""

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
from pytest_gump.system.processes.orphans import AdoptedOrphans, end_marked
from pytest_gump.system.processes.output import LineSplitter
from pytest_gump.system.processes.process_table import HAS_PROC, MARK

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
        """Make the supervisor end all remaining processes. Return the number that survived; None without an answer."""
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
        """Close the channel, so that the supervisor ends all processes and exits. Wait for that.

        Return the number of processes that survived.
        """
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
    """Runs one command at a time.

    A supervisor process starts at the beginning of the `with` block, or with the first command. It forks a keeper,
    which runs the commands. If the keeper is lost, it forks a new one. If the system delegates control groups to the
    user, all processes are in one group: see `cgroup`.
    """

    def __init__(self, *, with_cgroup: bool = True) -> None:
        self._with_cgroup = with_cgroup
        self._program: _Program | None = None
        self._keeper: socket.socket | None = None

    def __enter__(self) -> Self:
        with contextlib.suppress(OSError):  # the first command retries and reports the error
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
        """Run a command, and wait until it and all processes that it started have ended.

        Any exception, including KeyboardInterrupt, stops all processes first.

        Args:
            request: The command.
            timeout_s: Time after which the command is stopped.
            on_line: Called with every line of stdout. A returned string stops the command.
            on_tick: Called five times per second. A returned string stops the command.
            on_oversize: Called with the size of a line over 16 MiB, which is only written to the file.
            grace_s: Time between SIGTERM and SIGKILL.

        Raises:
            GumpError: The working folder cannot be entered.
            OSError: The supervisor cannot be started, or an output file cannot be created.
        """
        splitter = LineSplitter(on_line, on_oversize)
        with AdoptedOrphans() as orphans, contextlib.ExitStack() as stack:
            try:
                running = Running(self._take_keeper(), request, splitter, stack, grace_s)
                running.launch()
                finished = running.follow(timeout_s, on_tick)
            except BaseException:
                stack.close()
                self._abandon(orphans)
                raise
            if finished.error == LOST or finished.unkilled:
                stack.close()
                self._drop_keeper()
                finished = replace(finished, unkilled=self._end_rest(request.mark, orphans))
        return finished

    def close(self) -> None:
        """End the supervisor process and all processes that are still running."""
        self._abandon()

    @property
    def pid(self) -> int | None:
        return None if self._program is None else self._program.process.pid

    @property
    def cgroup(self) -> Path | None:
        """The control group; None if no supervisor is running, or if the system does not delegate groups."""
        return None if self._program is None else self._program.cgroup

    def _take_keeper(self) -> socket.socket:
        """Return the channel to a keeper: the one of the previous command if it is alive, otherwise a new one."""
        if self._keeper is not None and select.select([self._keeper], [], [], 0)[0]:
            self._drop_keeper()
        if self._keeper is None:
            channel = self._started().channel
            self._keeper, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            with theirs, contextlib.suppress(OSError):  # `Running` notices the end of the supervisor
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
        environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, *flags, "-c", _PROGRAM, *arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={**environment, MARK: "supervisor"},  # it adopts processes that hide their own mark
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            if cgroup is not None:
                remove_cgroup(cgroup)
            raise
        self._program = _Program(process, ours, cgroup)
        return self._program

    def _end_rest(self, mark: str, orphans: AdoptedOrphans) -> int:
        """End the processes that a lost keeper left. Return the number that survived."""
        left = None if self._program is None else self._program.end_orphans()
        if left is None or left:
            left = self._abandon(orphans)
        if not HAS_PROC:
            left += end_marked(mark, LOSS_WAIT_S)
        return left

    def _abandon(self, orphans: AdoptedOrphans | None = None) -> int:
        """End the supervisor process and all processes below it. Return the number that survived."""
        program, self._program = self._program, None
        self._drop_keeper()
        left = 0 if program is None else program.end()
        return left if orphans is None else orphans.end()


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
"""Runs in isolated mode, with this package last on the path: no module of the user's environment is loaded."""
