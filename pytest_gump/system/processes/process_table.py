"""The processes of the machine: lists them and their parents, and sends a signal to exactly one of them.

The supervisor imports this module, so it uses only the standard library, and psutil on systems without /proc.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final, NamedTuple

MARK: Final = "GUMP_ATTEMPT"
"""Environment variable that identifies the processes of a command."""
HAS_PROC: Final = sys.platform == "linux"
_GENERATIONS: Final = 64


class Process(NamedTuple):
    """One process. Not a dataclass, because importing `dataclasses` takes a quarter of the supervisor's start time."""

    pid: int
    parent: int
    group: int
    session: int
    started: str
    """Start time in a format of the system. Together with the pid, it identifies a process."""


def processes() -> dict[int, Process]:
    """Return all processes of the machine by pid, except zombies."""
    return _processes_from_proc() if HAS_PROC else _processes_from_psutil()


def read_process(pid: int) -> Process | None:
    """Return one process; None if it has ended or is a zombie."""
    return _read_stat(pid) if HAS_PROC else processes().get(pid)


def child_pids(pid: int) -> list[int]:
    """Return the pids of the direct children. Zombies are included if the kernel lists children."""
    try:
        return [child for task in os.listdir(f"/proc/{pid}/task") for child in _listed(pid, task)]  # noqa: PTH208
    except OSError:
        if not HAS_PROC or _read_stat(pid) is not None:  # a kernel without lists of children
            return [process.pid for process in processes().values() if process.parent == pid]
        return []


def _listed(pid: int, task: str) -> list[int]:
    with open(f"/proc/{pid}/task/{task}/children", "rb") as file:  # noqa: PTH123
        return [int(child) for child in file.read().split()]


def below(root: int) -> list[Process]:
    """Return the descendants of `root`, parents first, down to 64 generations.

    The limit is needed for processes that fork and exit as fast as they are listed. After the listed processes are
    killed, the rest are children of the process that adopts them.
    """
    found: list[Process] = []
    parents = [root]
    for _ in range(_GENERATIONS):
        if not parents:
            break
        children = [child for parent in parents for child in map(read_process, child_pids(parent)) if child is not None]
        found += children
        parents = [child.pid for child in children]
    return list(dict.fromkeys(found))


def marked(mark: str) -> list[Process]:
    """Return all processes with the mark in their environment."""
    return [process for process in processes().values() if has_mark(process.pid, mark)]


def has_mark(pid: int, mark: str) -> bool:
    """True if the process was started with the mark in its environment."""
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


def mark_of(pid: int) -> str:
    """Return the mark with which the process was started; empty if there is none, or if it cannot be read."""
    if HAS_PROC:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
                entries = file.read().split(b"\0")
        except OSError:
            return ""
        name = f"{MARK}=".encode()
        return next((entry[len(name) :].decode(errors="replace") for entry in entries if entry.startswith(name)), "")
    import psutil

    try:
        return str(psutil.Process(pid).environ().get(MARK, ""))
    except (psutil.Error, OSError):
        return ""


def inherited_mark(pid: int) -> str:
    """Return the mark of a process, or of the nearest process above it that has one; empty if none has."""
    while pid > 1:
        if mark := mark_of(pid):
            return mark
        process = read_process(pid)
        pid = 0 if process is None else process.parent
    return ""


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to exactly this process, and not to a later one with the same pid."""
    try:
        handle = os.pidfd_open(process.pid) if HAS_PROC else None
    except OSError:
        return
    try:
        current = read_process(process.pid)
        if current is None or current.started != process.started:
            return
        if handle is None:
            os.kill(process.pid, number)
        else:
            signal.pidfd_send_signal(handle, number)
    except OSError:
        return
    finally:
        if handle is not None:
            os.close(handle)


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
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[19].decode())


def _processes_from_psutil() -> dict[int, Process]:
    import psutil

    found = {}
    for each in psutil.process_iter():
        try:
            with each.oneshot():
                if each.status() == psutil.STATUS_ZOMBIE:
                    continue
                group, session = os.getpgid(each.pid), os.getsid(each.pid)
                found[each.pid] = Process(each.pid, each.ppid(), group, session, repr(each.create_time()))
        except (psutil.Error, OSError):
            continue
    return found
