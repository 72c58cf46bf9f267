"""The cost of a command: wall time, and CPU time of all processes that it starts."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
PATIENCE_S = 20.0
"""Longest time for processes that a command leaves in the background, such as `git maintenance`."""


@dataclass(frozen=True, slots=True)
class Cost:
    cpu_ms: float
    wall_ms: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu_ms + other.cpu_ms, self.wall_ms + other.wall_ms)

    def __sub__(self, other: Cost) -> Cost:
        return self + other * -1

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.cpu_ms * factor, self.wall_ms * factor)

    def over(self, other: Cost) -> Cost:
        """Return the ratio of this cost to the other."""
        return Cost(self.cpu_ms / other.cpu_ms, self.wall_ms / other.wall_ms)


def adopt_orphans() -> None:
    """On Linux, make this process the parent of all orphaned descendants, so that their CPU time is counted."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextmanager
def timed() -> Iterator[list[Cost]]:
    """Provide a list, to which the cost of the block is added when all child processes have ended."""
    costs: list[Cost] = []
    cpu, began = _cpu_ms(), time.perf_counter()
    yield costs
    wall_ms = 1000 * (time.perf_counter() - began)
    _wait_for_orphans(PATIENCE_S)
    costs.append(Cost(_cpu_ms() - cpu, wall_ms))


def _wait_for_orphans(seconds: float) -> None:
    until = time.monotonic() + seconds
    with suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
        sys.exit(f"processes are still running {seconds:.0f} s after the end of the command")


def _cpu_ms() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (used.ru_utime + used.ru_stime)


def run(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], expect: int = 0) -> Cost:
    """Run a program to its end. If its exit code is not `expect`, exit with its output."""
    with timed() as costs:
        done = subprocess.run(
            command, cwd=cwd, env=environment, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
    return costs[0]


def alternate(
    rounds: int, measures: Mapping[str, Callable[[], Cost]], *, warm_up: bool = True
) -> dict[str, list[Cost]]:
    """Measure A, B, A, B, ..., so that other work on the machine affects all alike.

    With `warm_up`, there is an additional first round that is not counted.
    """
    costs: dict[str, list[Cost]] = defaultdict(list)
    if warm_up:
        for measure in measures.values():
            measure()
    for _ in range(rounds):
        for name, measure in measures.items():
            costs[name].append(measure())
    return costs


def least(costs: Sequence[Cost]) -> Cost:
    """Return the minimum of all rounds, because other work only adds time."""
    return Cost(min(one.cpu_ms for one in costs), min(one.wall_ms for one in costs))
