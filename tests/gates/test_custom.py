from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytest_gump.gates.base import GateResult
from pytest_gump.gates.registry import run_gates
from pytest_gump.gates.view import Diff, StepView
from pytest_gump.workflow.model import GateSpec

from tests.gates.gate_kit import gate_context
from tests.kits.processes import is_alive, wait_until

RunGate = Callable[..., GateResult]


@pytest.fixture
def run_gate(tmp_path: Path) -> RunGate:
    def run(gate: Callable[[Any], Any], argument: str | None = None, timeout_s: float = 20.0) -> GateResult:
        view = StepView("impl", 1, tmp_path, diff=Diff("+++ b/a.py\n@@ -0,0 +1 @@\n+x = 1  # TODO\n"))
        context = gate_context(tmp_path, custom={"own": gate}, step=view, timeout_s=timeout_s)
        (result,) = run_gates([GateSpec("own", argument)], context)
        return result

    return run


def test_a_gate_without_a_failed_assertion_passes(run_gate: RunGate) -> None:
    result = run_gate(lambda step: None)
    assert (result.status, result.output) == ("passed", "")


def test_a_failed_assertion_fails_with_the_explanation_of_pytest(run_gate: RunGate) -> None:
    def no_todo(step: StepView) -> None:
        assert not step.diff.added_lines_matching("TODO"), "finish what you started"

    result = run_gate(no_todo)
    assert (result.status, result.summary) == ("failed", "finish what you started")
    assert "assert not [a.py:1: x = 1  # TODO]" in result.output
    assert "test_custom.py:" in result.output
    assert "custom.py:" not in result.output.replace("test_custom.py", "")


def test_the_argument_is_in_the_view(run_gate: RunGate) -> None:
    def at_most(step: StepView) -> None:
        assert int(step.argument or 0) > 5

    result = run_gate(at_most, "3")
    assert (result.name, result.status) == ("own: 3", "failed")
    assert result.summary.startswith("assert 3 > 5")


def test_pytest_fail_and_skip_set_the_status(run_gate: RunGate) -> None:
    assert run_gate(lambda step: pytest.fail("too big")).status == "failed"
    assert run_gate(lambda step: pytest.fail("too big")).summary == "too big"
    assert run_gate(lambda step: pytest.skip("not here")).status == "skipped"


def test_any_other_exception_is_an_error_with_its_location(run_gate: RunGate) -> None:
    def broken(step: StepView) -> None:
        os.environ["MISSING"]

    result = run_gate(broken)
    assert (result.status, result.summary) == ("error", "KeyError: 'MISSING'")
    assert "in broken" in result.output


@pytest.mark.parametrize("value", [True, False, "text"])
def test_a_gate_that_returns_a_value_is_an_error(run_gate: RunGate, value: object) -> None:
    result = run_gate(lambda step: value)
    assert result.status == "error"
    assert "must assert" in result.summary


def test_sys_exit_is_an_error(run_gate: RunGate) -> None:
    assert run_gate(lambda step: sys.exit(0)).status == "error"


def test_a_crash_is_an_error_and_the_session_continues(run_gate: RunGate) -> None:
    result = run_gate(lambda step: os.kill(os.getpid(), signal.SIGSEGV))
    assert result.status == "error"
    assert result.summary == "the gate crashed: Segmentation fault (signal 11)"


def test_a_gate_that_calls_os_exit_is_an_error(run_gate: RunGate) -> None:
    assert run_gate(lambda step: os._exit(3)).summary == "the gate ended its process with exit code 3"


def test_a_hang_is_an_error_after_the_timeout(run_gate: RunGate) -> None:
    started = time.monotonic()
    result = run_gate(lambda step: time.sleep(60), timeout_s=0.3)
    assert (result.status, result.summary) == ("error", "timed out after 0.3s")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("command", ["exec sleep 60", "setsid sh -c 'sleep 60 & echo $! > pid' &"])
def test_processes_that_a_gate_started_are_killed(
    run_gate: RunGate, tmp_path: Path, command: str, *, hangs: bool
) -> None:
    def starts_a_child(step: StepView) -> None:
        subprocess.Popen(["sh", "-c", f"echo $$ > pid; {command}"], cwd=step.worktree)
        while not (pid := step.worktree / "pid").exists() or not pid.read_text().strip():
            time.sleep(0.01)
        time.sleep(60 if hangs else 0.2)

    run_gate(starts_a_child, timeout_s=1.0)
    pid = int((tmp_path / "pid").read_text())
    assert not is_alive(pid)


def test_the_output_of_a_failed_gate_is_shown(run_gate: RunGate, capfd: pytest.CaptureFixture[str]) -> None:
    def talks(step: StepView) -> None:
        sys.stdout.write("from python\n")
        os.system("echo from a child")
        raise AssertionError("no")

    result = run_gate(talks)
    assert result.output.endswith("printed by the gate:\nfrom a child\nfrom python")
    assert capfd.readouterr() == ("", "")


def test_a_gate_cannot_change_the_session(run_gate: RunGate) -> None:
    seen: list[int] = []

    def changes(step: StepView) -> None:
        seen.append(1)
        os.environ["GUMP_PLANTED"] = "1"
        os.chdir("/")

    here = Path.cwd()
    assert run_gate(changes).status == "passed"
    assert seen == []
    assert "GUMP_PLANTED" not in os.environ
    assert Path.cwd() == here


def test_a_gate_runs_although_the_session_has_threads(run_gate: RunGate) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert run_gate(lambda step: None).status == "passed"
    finally:
        stop.set()
        thread.join()


def test_a_very_long_message_is_cut(run_gate: RunGate) -> None:
    def shouts(step: StepView) -> None:
        raise AssertionError("x" * 5_000_000)

    result = run_gate(shouts)
    assert result.status == "failed"
    assert len(result.summary) <= 120
    assert len(result.output) < 3000


def test_an_interrupt_ends_the_child_and_is_raised_again(tmp_path: Path) -> None:
    program = f"""
import os, pathlib, time
from pytest_gump.gates.custom import run_custom
from pytest_gump.gates.base import GateContext

def hang(step):
    pathlib.Path("child").write_text(str(os.getpid()))
    time.sleep(60)

context = GateContext(worktree=pathlib.Path({str(tmp_path)!r}), changed=(), run=None, commands={{}}, custom={{"hang": hang}})
try:
    run_custom("hang", None, context)
except KeyboardInterrupt:
    print("interrupted")
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    wait_until((tmp_path / "child").exists, 20)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted\n"
    assert not psutil.pid_exists(int((tmp_path / "child").read_text()))
