"""The keeper starts one command at a time, adopts the orphans of the command, and ends all of its processes.

The supervisor imports this module, so it uses only the standard library, and psutil on systems without /proc.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_gump.system.processes.process_table import HAS_PROC, Process, below, child_pids, has_mark, processes, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

END: Final = signal.SIGUSR1
"""Makes a keeper end its command and itself. The kernel also sends it when the supervisor is killed."""
RESET: Final = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
    END,
)
"""Signals that are reset to their default action in a child. Otherwise, it would inherit that this program, Python or
the program that started pytest ignores them.
"""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SETTLE_S: Final = 0.25
"""A process that ends within this time after the main process does not count as left running."""
_KILL_S: Final = 5.0
_POLL_S: Final = 0.01
_GRACE_AFTER_LOSS_S: Final = 2.0
_MAX_DESCRIPTORS: Final = 5


class Keeper:
    """Runs one command at a time. `process.Supervisor` has the other end of its channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.supervisor = os.getppid()
        self.main: int | None = None
        self.status: int | None = None
        self.mark: str | None = None
        self.grace_s = _GRACE_AFTER_LOSS_S
        self.must_end = False
        """True after the signal `END`: the supervisor was killed, or it is closing."""
        self.is_reaper = become_subreaper()

    def serve(self) -> None:
        """Run until the channel closes or the supervisor ends."""
        wake = wake_pipe()
        signal.signal(END, self._on_end)
        set_death_signal(END)
        while not self.must_end and os.getppid() == self.supervisor:
            ready, _, _ = select.select([self.channel.fileno(), wake], [], [], 1.0)
            drain(wake)
            self.reap()
            if self.main is not None and self.status is not None:
                self.settle()
            if self.channel.fileno() in ready and not self.obey():
                break
        self.end(_GRACE_AFTER_LOSS_S)

    def _on_end(self, *_: object) -> None:
        self.must_end = True

    def obey(self) -> bool:
        """Handle one frame. Return False if the executor has ended."""
        frame, descriptors = _receive(self.channel)
        if frame is None:
            return False
        if frame["op"] == "run":
            self.start(frame, descriptors)
        elif self.main is not None:
            self.end(self.grace_s)
            self.report_end(0)
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def start(self, frame: dict[str, Any], descriptors: list[int]) -> None:
        self.mark, self.status, self.grace_s = frame["mark"], None, frame["grace"]
        failure, fail = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(frame, descriptors, fail, dies_with_parent=self.is_reaper)
        os.close(fail)
        with open(failure, "rb") as file:  # noqa: PTH123
            error = file.read()
        if error:
            os.waitpid(pid, 0)
            self.report(event="failed", **json.loads(error))
            return
        self.main = pid
        self.report(event="started", pid=pid)

    def settle(self) -> None:
        """Handle the end of the main process: end the processes that it left behind, and report both."""
        deadline = time.monotonic() + _SETTLE_S
        while self.is_anything_left() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        left = 0
        if self.is_anything_left():
            left = max(1, len(self.alive()))
            self.end(self.grace_s)
        self.report_end(left)

    def report_end(self, left: int) -> None:
        unkilled = max(1, len(self.alive())) if self.is_anything_left() else 0
        status, self.main = self.status, None
        self.report(event="ended", status=status, left=left, unkilled=unkilled)

    def end(self, grace_s: float) -> None:
        """Send SIGTERM to all processes, wait, and kill the rest. Both steps include processes that start meanwhile."""
        deadline = time.monotonic() + grace_s
        asked: set[Process] = set()
        while self.is_anything_left() and time.monotonic() < deadline:
            for process in self.alive():
                if process not in asked:
                    send(process, signal.SIGTERM)
                    send(process, signal.SIGCONT)
                    asked.add(process)
            time.sleep(_POLL_S)
        if self.is_reaper:
            kill_children(self.reap)
        else:
            _freeze_and_kill(self.alive)

    def is_anything_left(self) -> bool:
        """True if any process of the command is alive.

        A subreaper without children has no descendants. A list of processes may miss those that fork constantly.
        """
        return self.reap() if self.is_reaper else bool(self.alive())

    def alive(self) -> list[Process]:
        self.reap()
        return below(os.getpid()) if self.is_reaper else _tree(os.getpid(), self.main, self.mark)

    def reap(self) -> bool:
        """Reap ended children. Return True if others are alive."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.main:
                self.status = status

    def report(self, **event: Any) -> None:
        try:
            self.channel.sendall(json.dumps(event).encode() + b"\n")
        except OSError:
            return  # the executor has ended


def kill_children(reap: Callable[[], bool], kept: AbstractSet[int] = frozenset()) -> None:
    """Kill all descendants, except the `kept` children and their descendants, for at most 5 seconds.

    This process must be a subreaper. It becomes the parent of every orphan, so the newest member of a chain of
    processes that fork and exit is soon a direct child. A direct child is killed without checking its identity: only
    this process can reap it, so its pid cannot be reused. While new processes appear, there is no pause.
    """
    deadline = time.monotonic() + _KILL_S
    before: list[int] = []
    while reap() and time.monotonic() < deadline:
        direct = [pid for pid in child_pids(os.getpid()) if pid not in kept]
        for pid in direct:
            _kill(pid)
        deeper = [process for pid in direct for process in below(pid)]
        for process in deeper:
            send(process, signal.SIGKILL)
        if not direct:
            return
        if direct == before:
            time.sleep(_POLL_S / 10)
        before = direct


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return


def _freeze_and_kill(alive: Callable[[], list[Process]]) -> None:
    """Kill all processes without a subreaper. They are stopped first until no new ones appear, to miss no orphan."""
    deadline = time.monotonic() + _KILL_S
    while (living := alive()) and time.monotonic() < deadline:
        stopped: set[Process] = set()
        while fresh := [process for process in living if process not in stopped]:
            for process in fresh:
                send(process, signal.SIGSTOP)
            stopped.update(fresh)
            living = alive()
        for process in stopped:
            send(process, signal.SIGKILL)
        time.sleep(_POLL_S)


def _tree(root: int, group: int | None, mark: str | None) -> list[Process]:
    """Return the processes below `root`, in the process group or with the mark, without `root` itself."""
    everything = processes()
    found = {process.pid for process in below(root)}
    for pid, process in everything.items():
        if process.group == group or (mark and pid not in found and has_mark(pid, mark)):
            found.add(pid)
    return [everything[pid] for pid in found if pid in everything and pid != root]


def wake_pipe() -> int:
    """Return a descriptor that becomes readable when a child changes its state."""
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    return wake


def drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        return


def become_subreaper(*, wanted: bool = True) -> bool:
    """Become the parent of all orphaned descendants, or stop that if `wanted` is False. Return False if unsupported."""
    return HAS_PROC and _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def set_death_signal(number: signal.Signals) -> None:
    """Make the kernel send this signal to this process when its parent ends (Linux only)."""
    if HAS_PROC:
        _prctl(_PR_SET_PDEATHSIG, number)


def _prctl(option: int, value: int) -> bool:
    try:
        return bool(_libc().prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _become(frame: dict[str, Any], descriptors: list[int], fail: int, *, dies_with_parent: bool) -> NoReturn:
    """Replace this forked process by the command. Write an error to the descriptor `fail`."""
    stage = "cwd"
    fail = fcntl.fcntl(fail, fcntl.F_DUPFD_CLOEXEC, _MAX_DESCRIPTORS)
    try:
        os.setsid()
        if dies_with_parent:
            set_death_signal(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        if frame["cwd"] is None:
            os.fchdir(descriptors[0])
            os.set_inheritable(descriptors.pop(0), False)
        else:
            os.chdir(_raw(frame["cwd"]))
        _place(descriptors)
        stage = "exec"
        argv = [_raw(word) for word in frame["argv"]]
        os.execvpe(argv[0], argv, {_raw(name): _raw(value) for name, value in frame["env"].items()})  # noqa: S606
    except OSError as error:
        os.write(fail, json.dumps({"stage": stage, "errno": error.errno}).encode())
    except ValueError:
        os.write(fail, json.dumps({"stage": stage, "errno": 22}).encode())
    finally:
        os._exit(127)


def _place(descriptors: list[int]) -> None:
    """Move the descriptors to 0, 1, 2, ... The child does not inherit their old numbers."""
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _MAX_DESCRIPTORS) for descriptor in descriptors]
    for target, descriptor in enumerate(copies):
        os.dup2(descriptor, target)
    for descriptor in descriptors:
        if descriptor >= len(copies):
            os.set_inheritable(descriptor, False)


def _raw(text: str) -> bytes:
    """Decode a value of a frame. Bytes of argv, environment and paths are sent as Latin-1 text, for any locale."""
    return text.encode("latin-1")


def _receive(channel: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    try:
        head, descriptors, _, _ = socket.recv_fds(channel, 4, _MAX_DESCRIPTORS)
        while 0 < len(head) < 4:
            more = channel.recv(4 - len(head))
            head = head + more if more else b""
        body = bytearray()
        size = int.from_bytes(head, "big")
        while len(body) < size:
            chunk = channel.recv(min(size - len(body), 1 << 20))
            if not chunk:
                return None, []
            body += chunk
    except OSError:
        return None, []
    return (json.loads(body) if body else None), descriptors
