"""Ctrl-C and SIGTERM: children are stopped, the ledger is closed, the exit code is 2, the worktree is kept."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from pytest_gump.session.interrupts import uninterrupted

from tests.kits.processes import living, replayed, wait_until
from tests.kits.workers import rest, said

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_is_cancelled_and_keeps_its_work(project: GumpProject, number: signal.Signals) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=one", "spec.md") as process:
        wait_until(lambda: said(project, b'"result"'))
        rest()
        process.send_signal(number)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    wait_until(lambda: not living(project), 5)
    record = project.record()
    assert (record.status, record.reason) == ("cancelled", "interrupted")
    attempt = record.attempts[0]
    assert attempt.result is not None
    assert attempt.result.outcome == "cancelled"
    assert attempt.result.snapshot is not None
    assert "new.py" in project.tree(attempt.result.snapshot)
    assert record.total.cost_usd == 0.25
    slots = list((project.path.parent / f"{project.path.name}-cache").rglob("new.py"))
    assert slots, "the worktree is kept"
    assert "Traceback" not in output
    assert "✗ impl" in output
    assert "interrupted while the agent worked" in output


def test_an_agent_interrupted_before_its_first_message_uses_no_budget(project: GumpProject) -> None:
    project.workflow(
        "capped", "name: capped\nmax_budget: 1\nsteps:\n  - {name: impl, agent: claude-haiku, prompt: Do.}\n"
    )
    project.answer("impl", stream=[{"type": "started", "session_id": "s", "model": "claude-haiku-4-5"}], exit_code=None)
    with replayed(project, "--gump-workflow=capped", "spec.md") as session:
        wait_until(lambda: said(project, b'"started"'))
        rest()
        session.send_signal(signal.SIGINT)
        output, _ = session.communicate(timeout=15)
    assert "higher budget" not in output
    record = project.record()
    assert (record.total.cost_usd, record.total.presumed_usd, record.total.unknown) == (0.0, 0.0, 1)
    project.answer("impl", writes={"new.py": "x = 1\n"})
    assert project.pytester.runpytest("--gump-resume").ret == pytest.ExitCode.OK


def test_a_step_that_ends_during_ctrl_c_has_its_line(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": "import signal\n\n\ndef pytest_gump_attempt_finished(order, result):\n"
            "    signal.raise_signal(signal.SIGINT)\n"
        }
    )
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run_apart("one")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["✓ impl *claude-haiku *", "run * 1 step, *"])


def test_ctrl_c_during_the_preflight_ends_the_run(project: GumpProject) -> None:
    ledger = f"{project.path}/.gump/runs/*/ledger.ndjson"
    gate = f"kill -INT $(sed -n 's/.*\"pid\": *\\([0-9]*\\).*/\\1/p' {ledger} | head -1); sleep 20"
    project.write({"pytest.ini": f"[pytest]\ngump_compile = {gate}\n"})
    project.commit()
    project.workflow("one", "name: one\nsteps:\n  - {name: impl, agent: claude-haiku, prompt: Do., gate: [compile]}\n")
    result = project.run_apart("one")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["run cancelled *", "!* KeyboardInterrupt: preflight: interrupted !*"])
    assert project.record().status == "cancelled"


def test_a_signal_is_deferred_until_the_block_ends() -> None:
    done = []

    def work(signals: int) -> None:
        with uninterrupted():
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
            done.append(signals)

    work(0)
    for signals in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            work(signals)
    assert done == [0, 1], "the second signal does not wait"
