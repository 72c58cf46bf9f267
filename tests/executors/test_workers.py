"""Sessions with workers, and sessions that cannot have them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.kits.processes import agents, executor_of, is_gone, replayed, wait_until
from tests.kits.workers import write_side

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


NO_FORK = "import pytest_gump.executors.protocol\npytest_gump.executors.protocol.CAN_FORK = False\n"
"""A conftest that simulates a system whose libraries do not survive a fork."""


def test_without_fork_a_session_starts_a_worker_for_each_parallel_step(project: GumpProject) -> None:
    project.write({"conftest.py": NO_FORK})
    write_side(project)
    result = project.run_apart("side")
    result.assert_outcomes(passed=4)
    assert "created: 2/2 workers" in result.stdout.str()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_worker_without_forks_can_be_interrupted_and_killed(project: GumpProject, end: signal.Signals) -> None:
    project.write({"conftest.py": NO_FORK})
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        wait_until(lambda: agents(project))
        agent, session = agents(project)[0], psutil.Process(process.pid)
        worker = executor_of(agent)
        assert worker.parent() == session
        if end is signal.SIGKILL:
            worker.kill()
            wait_until(lambda: is_gone(agent) and agents(project))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    outcomes = [str(one.result.outcome) for one in project.record().attempts if one.result]
    assert outcomes == ["crashed"] * (end is signal.SIGKILL) + ["cancelled"]
    assert process.returncode == pytest.ExitCode.INTERRUPTED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n2", "--dist=each"], "--dist=each cannot share workers with a workflow"),
        (["--dist=loadfile", "-n2"], "--dist=loadfile cannot share workers with a workflow"),
    ],
)
def test_unsupported_dist_modes_are_refused_before_a_run_starts(
    project: GumpProject, options: list[str], message: str
) -> None:
    result = project.run("one", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert project.folders() == []


def test_workers_in_addopts_execute_steps_and_n0_overrides_them(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\naddopts = -n2\n"})
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    assert "created: 2/2 workers" in result.stdout.str()
    assert project.tree(project.record().head)["new.py"] == "x = 1"
    result = project.run("one", "-n0")
    result.assert_outcomes(passed=1)
    assert "created: 2/2 workers" not in result.stdout.str()


def test_a_session_without_xdist_runs(project: GumpProject) -> None:
    write_side(project)
    result = project.run("side", "-p", "no:xdist")
    result.assert_outcomes(passed=4)
    assert result.stdout.str().count("parallel groups run one step at a time: pytest-xdist is not available") == 1


@pytest.mark.parametrize("plugin", ["capture", "debugging"])
def test_a_session_without_a_built_in_plugin_runs(project: GumpProject, plugin: str) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", "-p", f"no:{plugin}").assert_outcomes(passed=1)


def test_a_collection_needs_no_workers(project: GumpProject) -> None:
    result = project.run("one", "--co", "-q", "-n2")
    assert result.outlines[0] == "spec.md::one::impl"
    assert result.ret == pytest.ExitCode.OK


def test_workers_run_ordinary_tests(project: GumpProject) -> None:
    project.write({"test_ordinary.py": "def test_one(): pass\ndef test_two(): pass\n"})
    project.pytester.runpytest_inprocess("-n1").assert_outcomes(passed=2)


@pytest.mark.parametrize("spec", ["spec.md", "missing.md"])
def test_a_run_that_cannot_start_is_refused_before_workers_start(project: GumpProject, spec: str) -> None:
    project.write({"app.py": "value = 2\n"})
    result = project.run("one", "-n2", spec=spec)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    message = (
        "the checkout has uncommitted changes: app.py" if spec == "spec.md" else "the spec missing.md does not exist"
    )
    assert message in result.stderr.str()
    assert "workers" not in result.stdout.str()


def test_controller_with_workers_supervises_no_agent_itself(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        wait_until(lambda: agents(project))
        children = [" ".join(one.cmdline()) for one in psutil.Process(process.pid).children()]
        assert len(children) == 1
        assert not any("supervisor" in words for words in children)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert project.record().status == "cancelled"
