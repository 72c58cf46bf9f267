"""The supervisor: a small program that starts one child at a time and ends everything that lives below it.

Run as `python -I supervisor.py FD PID`: its end of a unix socket pair, and the executor. Stdlib only (psutil where
there is no /proc).
It is started once per executor. When the other end of the pair closes, or the executor's pid is gone, it ends the
whole tree and exits.

From the executor: a frame (4 bytes of length, then JSON); when `op` is `run`, with descriptors 0, 1, 2 of the child and
perhaps 3; bytes as Latin-1.
    {"op": "run", "argv": [...], "env": {...}, "cwd": "...", "mark": "...", "grace": 3.0}
    {"op": "stop"}
To the executor: one JSON object a line.
    {"event": "started", "pid": 1}
    {"event": "failed", "stage": "exec" | "cwd", "errno": 2}
    {"event": "ended", "status": wait status, "left": n, "survivors": n}
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, Final, NamedTuple, NoReturn

MARK: Final = "GUMP_ATTEMPT"
HAS_PROC: Final = sys.platform == "linux"

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_SETTLE_S: Final = 0.25
"""What ends by itself this soon after the main process was on its way out already, not left running."""
_KILL_S: Final = 5.0
_POLL_S: Final = 0.01
_GRACE_AFTER_LOSS_S: Final = 2.0
_MAX_DESCRIPTORS: Final = 4


class Process(NamedTuple):
    """One process. No dataclass: their module is a quarter of the time that this program takes to start."""

    pid: int
    parent: int
    group: int
    started: str
    """Start time as the system tells it: with the pid it names one process for good."""


def processes() -> dict[int, Process]:
    """Every process of the machine that is not a zombie."""
    return _processes_from_proc() if HAS_PROC else _processes_from_psutil()


def _processes_from_proc() -> dict[int, Process]:
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib would double the start-up time
        if name.isdigit() and (process := _read_stat(int(name))) is not None:
            found[process.pid] = process
    return found


def _read_stat(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in {b"Z", b"X"}:
        return None
    return Process(pid, parent=int(fields[1]), group=int(fields[2]), started=fields[19].decode())


def _processes_from_psutil() -> dict[int, Process]:
    import psutil

    found = {}
    for each in psutil.process_iter():
        try:
            with each.oneshot():
                if each.status() == psutil.STATUS_ZOMBIE:
                    continue
                found[each.pid] = Process(each.pid, each.ppid(), os.getpgid(each.pid), repr(each.create_time()))
        except (psutil.Error, OSError):
            continue
    return found


def has_mark(pid: int, mark: str) -> bool:
    """Whether the process was started with the mark in its environment."""
    wanted = f"{MARK}={mark}"
    if HAS_PROC:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
                return wanted.encode() in file.read().split(b"\0")
        except OSError:
            return False
    import psutil

    try:
        return str(psutil.Process(pid).environ().get(MARK, "")) == mark
    except (psutil.Error, OSError):
        return False


def tree(root: int, mark: str | None, group: int | None = None) -> list[Process]:
    """What lives below `root`, carries the mark or belongs to the group, without `root` itself."""
    everything = processes()
    children: dict[int, list[int]] = {}
    for process in everything.values():
        children.setdefault(process.parent, []).append(process.pid)
    below: set[int] = set()
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        if pid not in below:
            below.add(pid)
            waiting += children.get(pid, ())
    for pid, process in everything.items():
        if process.group == group or (mark and pid not in below and has_mark(pid, mark)):
            below.add(pid)
    return [everything[pid] for pid in below if pid not in {root, os.getpid()}]


RESET = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGCHLD,
)
"""Ignored by us, by Python, or by whatever put pytest into the background: a child starts with the default."""


def send(process: Process, number: signal.Signals) -> None:
    """Signal exactly this process: not a later one that was given its pid."""
    current = _read_stat(process.pid) if HAS_PROC else processes().get(process.pid)
    if current is None or current.started != process.started:
        return
    try:
        os.kill(process.pid, number)
    except OSError:
        return


class Keeper:
    """Keeps one child at a time; `process.Supervisor` is its other end."""

    def __init__(self, channel: socket.socket, executor: int) -> None:
        self.channel = channel
        self.executor = executor
        self.main: int | None = None
        self.group: int | None = None
        self.status: int | None = None
        self.mark: str | None = None
        self.grace_s = _GRACE_AFTER_LOSS_S
        self.is_reaper = _become_subreaper()

    def serve(self) -> None:
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        while os.getppid() == self.executor:
            ready, _, _ = select.select([self.channel.fileno(), wake], [], [], 1.0)
            if wake in ready:
                _drain(wake)
            self.reap()
            if self.main is not None and self.status is not None:
                self.settle()
            if self.channel.fileno() in ready and not self.obey():
                break
        self.end(_GRACE_AFTER_LOSS_S)

    def obey(self) -> bool:
        """Carry out one frame; False when the executor has gone."""
        frame, descriptors = _receive(self.channel)
        if frame is None:
            return False
        if frame["op"] == "run":
            self.start(frame, descriptors)
        elif self.main is not None:
            self.end(self.grace_s)
            self.report_end(left=0)
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
            told = file.read()
        if told:
            os.waitpid(pid, 0)
            self.tell(event="failed", **json.loads(told))
            return
        self.main = self.group = pid
        self.tell(event="started", pid=pid)

    def settle(self) -> None:
        """The main process has ended by itself: end what it left behind, and say so."""
        deadline = time.monotonic() + _SETTLE_S
        left = self.alive()
        while left and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            left = self.alive()
        if left:
            self.end(self.grace_s)
        self.report_end(left=len(left))

    def report_end(self, left: int) -> None:
        survivors = len(self.alive())
        status, self.main, self.group = self.status, None, None
        self.tell(event="ended", status=status, left=left, survivors=survivors)

    def end(self, grace_s: float) -> None:
        """TERM everything, wait, KILL everything; both go on for what appears meanwhile."""
        self._signal_until_gone(signal.SIGTERM, grace_s)
        self._signal_until_gone(signal.SIGKILL, _KILL_S)

    def _signal_until_gone(self, number: signal.Signals, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        told: set[Process] = set()
        while living := self.alive():
            fresh = [process for process in living if process not in told]
            for process in fresh:
                send(process, number)
                send(process, signal.SIGCONT)
            told.update(fresh)
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)

    def alive(self) -> list[Process]:
        if not self.reap() and self.is_reaper:
            return []  # a subreaper without children has no descendants either
        return tree(os.getpid(), self.mark, None if self.is_reaper else self.group)

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

    def tell(self, **event: Any) -> None:
        try:
            self.channel.sendall(json.dumps(event).encode() + b"\n")
        except OSError:
            return  # the executor has gone: the next look at the channel ends everything


def _drain(descriptor: int) -> None:
    try:
        while os.read(descriptor, 4096):
            pass
    except BlockingIOError:
        return


def _prctl(option: int, value: int) -> bool:
    try:
        return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _become_subreaper() -> bool:
    return HAS_PROC and _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _become(frame: dict[str, Any], descriptors: list[int], fail: int, *, dies_with_parent: bool) -> NoReturn:
    """Turn this forked process into the command; a failure is told through `fail`."""
    stage = "cwd"
    fail = fcntl.fcntl(fail, fcntl.F_DUPFD_CLOEXEC, _MAX_DESCRIPTORS)
    try:
        os.setsid()
        if dies_with_parent:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        _place(descriptors)
        os.chdir(_raw(frame["cwd"]))
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


def main() -> None:
    executor = int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        channel.set_inheritable(False)
        Keeper(channel, executor).serve()


if __name__ == "__main__":
    main()
