"""Start sessions in the background, find the processes of a test, and wait for conditions."""

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
"""Plugins that these sessions do not use. Their imports take a third of the start of a session."""
PYTEST: Final = (sys.executable, "-m", "pytest", *(word for plugin in UNUSED for word in ("-p", plugin)))


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Kill the process at the end of the block if it still runs."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def background(project: GumpProject, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a pytest session in the background, in its own process group. It is killed at the end of the block."""
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
    """Start a session like `background`, with agents from the cassette."""
    return background(project, f"--gump-replay={project.cassette}", *arguments)


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two calls
        return True


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running(text: str) -> list[int]:
    """Return the pids of running processes with this text in their command line."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and text in " ".join(process.info["cmdline"] or [])
    ]


def living(project: GumpProject) -> list[psutil.Process]:
    """Return processes that name a folder of this test in their command line, agents included."""
    folder = str(project.path.parent)
    others = [process for process in psutil.process_iter(["pid", "cmdline"]) if process.info["pid"] != os.getpid()]
    return [process for process in others if any(folder in argument for argument in process.info["cmdline"] or [])]


def agents(project: GumpProject) -> list[psutil.Process]:
    """Return the replayed agents of this test."""
    return [process for process in living(project) if any("player.py" in word for word in process.info["cmdline"])]


def executor_of(agent: psutil.Process) -> psutil.Process:
    """Return the process that executes the order. The parents of an agent are its keeper, the supervisor and this process."""
    return agent.parents()[2]


def worker_of(agent: psutil.Process) -> psutil.Process:
    """Return the worker that forked the process that executes the order."""
    return agent.parents()[3]
