from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.system.processes.session_clock import LATE_S, SessionClock

from tests.kits.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path


class FakeClocks:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.monotonic = 100.0
        self.wall = 1_000_000.0

    def clock(self) -> SessionClock:
        return SessionClock(lambda: self.monotonic, lambda: self.wall)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1e6), st.floats(-1e9, 1e9)), max_size=20))
def test_jumps_of_the_wall_clock_and_suspended_time_do_not_count(steps: list[tuple[float, float, float]]) -> None:
    clocks = FakeClocks()
    clock = clocks.clock()
    seen = [clock.now()]
    for requested, late, jump in steps:
        with clock.waiting(requested):
            clocks.monotonic += requested + late
        clocks.wall += jump
        seen.append(clock.now())
    passed = seen[-1] - seen[0]
    assert all(before <= after + 1e-3 for before, after in itertools.pairwise(seen))
    assert passed <= sum(requested + LATE_S for requested, _, _ in steps) + 1e-3
    assert passed >= sum(requested for requested, _, _ in steps) - 1e-3


def test_wait_that_ends_early_or_slightly_late_counts_in_full() -> None:
    clocks = FakeClocks()
    clock = clocks.clock()
    began = clock()
    for took in (0.0, 0.2, 1.9):
        with clock.waiting(0.2):
            clocks.monotonic += took
    assert abs(clock() - began - 2.1) < 1e-6


EXECUTOR = """\
import sys
from pathlib import Path
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.process import Request, Supervisor
folder = Path(sys.argv[1])
shell = "touch begun; while ! test -e go; do sleep 0.05; done"
with Supervisor() as supervisor:
    supervisor.run(Request(("true",), folder, child_environment(), "m", folder / "out"))
    finished = supervisor.run(Request((), folder, child_environment(), "m", folder / "out", shell=shell), timeout_s=3.5)
print(finished.stopped, finished.exit_code, finished.duration_s)
"""


def test_time_during_which_the_process_is_stopped_does_not_count_for_time_limits(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EXECUTOR, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "begun").exists, 20)
        process.send_signal(signal.SIGSTOP)
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        time.sleep(4.2)
        process.send_signal(signal.SIGCONT)
        (tmp_path / "go").touch()
        output, _ = process.communicate(timeout=20)
    stopped, code, duration_s = output.split()
    assert (stopped, code) == ("None", "0")
    assert float(duration_s) < 3.5
