from __future__ import annotations

import subprocess
import sys
import time

import psutil
from pytest_gump.engine.record.liveness import is_alive, run_state
from pytest_gump.engine.record.records import RunRecord


def test_this_process_is_alive() -> None:
    process = psutil.Process()
    assert is_alive(process.pid, process.create_time())


def test_process_with_the_same_pid_and_another_start_time_is_not_the_run() -> None:
    process = psutil.Process()
    assert not is_alive(process.pid, process.create_time() - 60)


def test_zombie_process_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        created = process.create_time()
        assert is_alive(child.pid, created)
        assert child.stdin is not None
        child.stdin.close()
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert not is_alive(child.pid, created)
    assert not is_alive(child.pid, created)


def test_unfinished_run_without_its_process_is_interrupted() -> None:
    assert run_state(RunRecord(pid=99999999, pid_created=1.0)) == "interrupted"
    assert run_state(RunRecord(pid=99999999, pid_created=1.0, status="passed")) == "passed"
