"""Starts sessions in the background, finds the processes of a test, and waits for what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pytest_gump.testing import GumpProject

UNUSED: Final = ("no:anyio", "no:hypothesispytest")
"""Plugins whose imports are a third of the start of a session that has no use for them."""
PYTEST: Final = (sys.executable, "-m", "pytest", *(word for plugin in UNUSED for word in ("-p", plugin)))


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends at the latest with the block."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def background(project: GumpProject, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A pytest session in the background, in a process group of its own; it ends at the latest with the block."""
    process = subprocess.Popen(
        [*PYTEST, *arguments],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with ending(process):
        yield process


def replayed(project: GumpProject, *arguments: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """As `background`; a cassette plays the agents."""
    return background(project, f"--gump-replay={project.cassette}", *arguments)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def running(text: str) -> list[int]:
    """Pids of living processes with this text in their command line."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and text in " ".join(process.info["cmdline"] or [])
    ]


def living(project: GumpProject) -> list[psutil.Process]:
    """Processes that have to do with this test's folders, agents among them."""
    folder = str(project.path.parent)
    others = [process for process in psutil.process_iter(["pid", "cmdline"]) if process.info["pid"] != os.getpid()]
    return [process for process in others if any(folder in argument for argument in process.info["cmdline"] or [])]


def agents(project: GumpProject) -> list[psutil.Process]:
    """Replayed agents of this test."""
    return [process for process in living(project) if any("player.py" in word for word in process.info["cmdline"])]


def executor_of(agent: psutil.Process) -> psutil.Process:
    """An agent's parent is its keeper, that one's is the supervisor, and that one's carries out the order."""
    return agent.parents()[2]


def worker_of(agent: psutil.Process) -> psutil.Process:
    """The worker that has forked the process which carries out the order."""
    return agent.parents()[3]
