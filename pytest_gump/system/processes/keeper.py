"""The keeper: it starts one command at a time, adopts what the command leaves behind, and ends all of it.

The supervisor imports this module: standard library only, psutil where there is no /proc.
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
"""Tells a keeper to end its command and itself. The kernel also sends it when the supervisor is killed."""
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
"""Ignored by us, by Python, or by whatever put pytest into the background: a child starts with the default."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SETTLE_S: Final = 0.25
"""A process that ends by itself this soon after the main process does not count as left running."""
_KILL_S: Final = 5.0
_POLL_S: Final = 0.01
_GRACE_AFTER_LOSS_S: Final = 2.0
_MAX_DESCRIPTORS: Final = 5


class Keeper:
    """Keeps one command at a time; `process.Supervisor` is the other end of its channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.supervisor = os.getppid()
        self.main: int | None = None
        self.status: int | None = None
        self.mark: str | None = None
        self.grace_s = _GRACE_AFTER_LOSS_S
        self.is_asked = False
        """The supervisor was killed, or its executor has gone."""
        self.is_reaper = become_subreaper()

    def serve(self) -> None:
        """Run until the channel closes, or the supervisor has gone."""
        wake = wake_pipe()
        signal.signal(END, self._ask)
        set_death_signal(END)
        while not self.is_asked and os.getppid() == self.supervisor:
            ready, _, _ = select.select([self.channel.fileno(), wake], [], [], 1.0)
            drain(wake)
            self.reap()
            if self.main is not None and self.status is not None:
                self.settle()
            if self.channel.fileno() in ready and not self.obey():
                break
        self.end(_GRACE_AFTER_LOSS_S)

    def _ask(self, *_: object) -> None:
        self.is_asked = True

    def obey(self) -> bool:
        """Carry out one frame; False when the executor has gone."""
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
        """The main process has ended by itself: end what it left behind, and report that."""
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
        """TERM everything, wait, KILL everything; both include processes that appear in the meantime."""
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
        """A subreaper without children has no descendants. Constantly forking processes may be in no list."""
        return self.reap() if self.is_reaper else bool(self.alive())

    def alive(self) -> list[Process]:
        self.reap()
        return below(os.getpid()) if self.is_reaper else _tree(os.getpid(), self.main, self.mark)

    def reap(self) -> bool:
        """Collect the dead; True while there are living children."""
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
            return  # the executor has gone


def kill_children(reap: Callable[[], bool], kept: AbstractSet[int] = frozenset()) -> None:
    """KILL all descendants but the `kept` children and theirs, until none is left or 5 seconds are over.

    A subreaper becomes the parent of every orphan, so the newest member of a chain that forks and exits is soon a
    direct child. A direct child is hit without a look at it: nobody else can collect it, so its pid is its own. As long
    as new ones appear there is no pause.
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
    """Without a subreaper: stop everything until nothing new appears, then KILL; orphans are lost otherwise."""
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
    """What lives below `root`, belongs to the group or carries the mark, without `root` itself."""
    everything = processes()
    found = {process.pid for process in below(root)}
    for pid, process in everything.items():
        if process.group == group or (mark and pid not in found and has_mark(pid, mark)):
            found.add(pid)
    return [everything[pid] for pid in found if pid in everything and pid != root]


def wake_pipe() -> int:
    """A descriptor that becomes readable when a child changes its state."""
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
    """Become the parent of every descendant whose own parent ends, or no longer; False where that is not possible."""
    return HAS_PROC and _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def set_death_signal(number: signal.Signals) -> None:
    """Get this signal when the parent ends."""
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
    """Turn this forked process into the command; a failure is reported through `fail`."""
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
    """Give the child exactly these descriptors, as 0, 1, 2, ...; the numbers that they came with are not inherited."""
    copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _MAX_DESCRIPTORS) for descriptor in descriptors]
    for target, descriptor in enumerate(copies):
        os.dup2(descriptor, target)
    for descriptor in descriptors:
        if descriptor >= len(copies):
            os.set_inheritable(descriptor, False)


def _raw(text: str) -> bytes:
    """Bytes of the system (argv, environment, paths) travel as Latin-1 text, whatever the locales are."""
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
