"""Watches the process table while an attempt runs, independently of how gump ends processes."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import psutil

if TYPE_CHECKING:
    import signal
    from pathlib import Path

POLL_S: Final = 0.2
SUPERVISOR: Final = "supervisor.py"
APART: Final = "pytest_gump.conformance.apart"


def living(folder: Path) -> list[psutil.Process]:
    """Return the processes that have HOME or their working directory below `folder`, except gump's own."""
    return [process for process in psutil.process_iter() if _belongs(process, str(folder))]


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE or _is_supervisor(process):
                return False
            is_below = process.environ().get("HOME", "").startswith(folder) or process.cwd().startswith(folder)
            return is_below and not _is_gump(process) and not _is_its_git(process)
    except (psutil.Error, OSError):
        return False


def _is_supervisor(process: psutil.Process) -> bool:
    return any(word.endswith(SUPERVISOR) for word in process.cmdline())


def _is_gump(process: psutil.Process) -> bool:
    return process.pid == os.getpid() or APART in process.cmdline()


def _is_its_git(process: psutil.Process) -> bool:
    """True for a git that gump itself runs: the processes of a CLI are children of the supervisor."""
    parent = process.parent()
    return process.name() == "git" and parent is not None and _is_gump(parent)


@dataclass(slots=True)
class Watch:
    """A thread that watches processes. With `number`, it sends that signal to the CLI once its command has started."""

    folder: Path
    """The folder of the bench."""
    begun: Path
    """The file that the command writes at its start."""
    number: signal.Signals | None = None
    first_at: float | None = None
    begun_at: float | None = None
    sent_at: float | None = None
    last_at: float | None = None
    seen: set[int] = field(default_factory=set)
    """Process ids since the start of the command."""
    lines: set[str] = field(default_factory=set)
    """Command lines since the start of the command."""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            self._look()
        self._look()

    def _look(self) -> None:
        looked_at = time.monotonic()
        processes = living(self.folder)
        now = time.monotonic()
        if processes:
            self.first_at = self.first_at or now
            self.last_at = looked_at
        if self.begun_at is None and self.begun.exists():
            self.begun_at = now
        if self.begun_at is not None:
            self.seen.update(process.pid for process in processes)
            self.lines.update(line for process in processes if (line := _line(process)))
        if self.number is not None and self.sent_at is None and self.begun_at is not None and now - self.begun_at > 1:
            self.sent_at = now
            for process in processes:
                _signal_main(process, self.number)


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _signal_main(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to the CLI itself, which is a child of the supervisor."""
    try:
        parent = process.parent()
        if parent is not None and _is_supervisor(parent):
            process.send_signal(number)
    except psutil.Error:
        return
