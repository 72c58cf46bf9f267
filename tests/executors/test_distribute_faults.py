"""Lost workers and stopped sessions: nothing hangs, no process is left, and costs are recorded."""

from __future__ import annotations

import os
import re
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger

from tests.kits.parallel import prepare
from tests.kits.processes import agents, background, executor_of, is_gone, living, replayed, wait_until, worker_of
from tests.kits.sizes import full_size
from tests.kits.workers import FATAL_GATE, GATED, cache, rest, said
from tests.kits.workflows import ONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.testing import GumpProject

    Lost = Callable[[psutil.Process], psutil.Process]


def outcomes(project: GumpProject) -> list[str]:
    return [str(one.result.outcome) for one in project.record().attempts if one.result is not None]


def test_attempt_of_a_lost_worker_is_repeated_on_another_worker(project: GumpProject) -> None:
    flag = project.path.parent / f"{project.path.name}-flag"
    project.write({"conftest.py": FATAL_GATE.replace("FLAG", str(flag))})
    project.workflow("gated", GATED)
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    result = project.run("gated", "-n2")
    assert result.parseoutcomes() == {"passed": 1, "retried": 1}
    assert outcomes(project) == ["crashed", "passed"]
    assert [one.attempt for one in project.record().attempts] == [1, 1]
    assert project.record().total.cost_usd == 0.5
    first = project.record().attempts[0]
    assert first.folder is not None
    assert (project.folders()[0].attempts / first.folder / "stream.ndjson").stat().st_size > 0
    assert first.result is not None
    assert "was lost while it worked" in first.result.reason


def test_step_fails_if_its_worker_is_lost_twice(project: GumpProject) -> None:
    project.write(
        {
            "conftest.py": FATAL_GATE.replace("FLAG", "/dev/null/none").replace(
                'open("/dev/null/none", "w").close()', "pass"
            )
        }
    )
    project.workflow("gated", GATED)
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    result = project.run("gated", "-n1", "--tb=short")
    assert result.parseoutcomes() == {"failed": 1, "retried": 1}
    assert outcomes(project) == ["crashed", "crashed"]
    assert project.record().total.cost_usd == 0.5


def test_run_fails_with_a_reason_if_no_worker_is_left(project: GumpProject) -> None:
    project.write({"conftest.py": EXITING.format(way="os.kill(os.getppid(), 9); os._exit(3)")})
    project.workflow("mine", ONE.replace("claude-haiku", "exiting").replace("name: one", "name: mine"))
    words = ["--gump-workflow=mine", "-n1", "--max-worker-restart=0", "spec.md"]
    result = project.pytester.runpytest_inprocess(*words)
    assert result.parseoutcomes() == {"failed": 1, "retried": 1}
    assert outcomes(project) == ["crashed", "crashed"]
    assert "no worker is left" in result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED


EXITING = """\
import os
from pytest_gump.agents.registry import resolve

class Exiting:
    name, cli, cost = "exiting", "claude", "reported"
    def missing(self): return None
    def command(self, task):
        if "PYTEST_XDIST_WORKER" in os.environ:
            {way}
    def reader(self, task):
        return resolve("claude-haiku").reader(task)

def pytest_gump_agents():
    return {{"exiting": Exiting()}}
"""


def test_worker_survives_a_memory_error_of_a_step(project: GumpProject) -> None:
    project.write({"conftest.py": EXITING.format(way="raise MemoryError")})
    project.workflow("mine", ONE.replace("claude-haiku", "exiting").replace("name: one", "name: mine"))
    result = project.pytester.runpytest_inprocess("--gump-workflow=mine", "-n1", "spec.md")
    assert outcomes(project) == ["agent_error"]
    assert "MemoryError" in result.stdout.str()
    assert "node down" not in result.stdout.str()


BOTH = pytest.mark.parametrize("lost", [executor_of, worker_of])
"""The process that executes the order, or the worker that forked this process."""


@BOTH
def test_agent_of_a_killed_worker_is_stopped_and_its_cost_is_recorded(project: GumpProject, lost: Lost) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        for _ in range(2):
            wait_until(lambda: agents(project) and said(project, b"result"))
            agent = agents(project)[0]
            lost(agent).send_signal(signal.SIGKILL)
            wait_until(partial(is_gone, agent), 10)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert outcomes(project) == ["crashed", "crashed"]
    assert project.record().total.cost_usd == 0.5
    assert not living(project)


QUICK = full_size(
    """\
from pytest_gump.executors import forked, liveness, worker

forked.BEAT_S = worker.BEAT_S = liveness.BEAT_S = 0.5
liveness.MUTE_S, liveness.SILENT_S = 1.5, 7.5
""",
    "",
)
"""A conftest that divides the intervals and timeouts of heartbeats by four. Empty in tests of full size."""

SILENT = [{"type": "started", "session_id": "s", "model": "claude-haiku-4-5"}]


@pytest.mark.parametrize(
    ("unknown_cost", "ended", "unknown"), [("refuse", ["crashed", "budget"], 1), ("allow", ["crashed", "crashed"], 2)]
)
def test_budget_stops_the_run_after_a_lost_attempt_of_unknown_cost(
    project: GumpProject, unknown_cost: str, ended: list[str], unknown: int
) -> None:
    project.workflow("one", ONE.replace("name: one\n", "name: one\nmax_budget: 5\n"))
    project.answer("impl", stream=SILENT, exit_code=None)
    with replayed(
        project, "--gump-workflow=one", "-n1", "-o", f"gump_unknown_cost={unknown_cost}", "spec.md"
    ) as process:
        for _ in range(unknown):
            wait_until(lambda: agents(project) and said(project, b"started"))
            agent = agents(project)[0]
            worker_of(agent).kill()
            wait_until(partial(is_gone, agent), 10)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert outcomes(project) == ended
    total = project.record().total
    assert (total.cost_usd, total.unknown) == (0.0, unknown)
    assert f"+ {unknown} attempt" in output


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_cost_of_an_attempt_with_an_internal_error_is_recorded(project: GumpProject, workers: str) -> None:
    project.write({"conftest.py": BREAKING})
    project.workflow("mine", ONE.replace("claude-haiku", "breaking").replace("name: one", "name: mine"))
    result = project.pytester.runpytest_inprocess("--gump-workflow=mine", workers, "spec.md")
    assert "ValueError: cannot read this" in result.stdout.str()
    assert outcomes(project) == ["agent_error"]
    assert project.record().total.cost_usd == 0.25
    assert all(one.folder for one in project.record().attempts)


BREAKING = """\
import sys
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader

SCRIPT = '''
import json
print(json.dumps({"type": "turn"}))
print(json.dumps({"type": "usage", "tokens": {"input": 9}, "cost_usd": 0.25}))
print("broken", flush=True)
'''

class Reader(NeutralReader):
    def feed(self, line):
        if line == b"broken" and not getattr(self, "told", False):
            self.told = Breaking.told = True
            raise ValueError("cannot read this")
        return super().feed(line)

class Breaking:
    name = cli = "breaking"
    cost = "reported"
    def missing(self): return None
    def command(self, task): return Command((sys.executable, "-c", SCRIPT))
    def reader(self, task): return Reader(task, cli=self.cli)

def pytest_gump_agents():
    return {"breaking": Breaking()}
"""


@pytest.mark.slow
@BOTH
def test_worker_that_hangs_is_dropped_and_its_agent_stopped(project: GumpProject, lost: Lost) -> None:
    """The process is suspended, as by a debugger. Without this check its agent would run without limits."""
    project.write({"conftest.py": QUICK})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=one", "-n1", "--max-worker-restart=0", "spec.md") as process:
        wait_until(lambda: agents(project) and said(project, b"result"))
        agent = agents(project)[0]
        lost(agent).suspend()
        wait_until(partial(is_gone, agent), 60)
        if lost is executor_of:  # the worker repeats the order
            wait_until(lambda: agents(project))
            executor_of(agents(project)[0]).kill()
        output, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert outcomes(project) == ["crashed", "crashed"]
    first = project.record().attempts[0].result
    assert first is not None
    silent = re.search(r"no sign of life for (\d+) s", first.reason)
    assert silent is not None
    assert full_size(7, 30) <= int(silent[1]) < full_size(30, 120)
    assert first.usage.cost_usd == 0.25
    wait_until(lambda: not living(project), 10)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("stopped_s", [0, 3])
def test_ctrl_c_stops_a_worker_that_hangs_within_seconds(project: GumpProject, lost: Lost, stopped_s: int) -> None:
    """The interrupt comes at once, or after a silence so long that the worker gets no new order."""
    project.write({"conftest.py": QUICK})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        wait_until(lambda: agents(project) and said(project, b"result"))
        agent = agents(project)[0]
        lost(agent).suspend()
        time.sleep(stopped_s)
        process.send_signal(signal.SIGINT)
        wait_until(partial(is_gone, agent), 5)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert outcomes(project) == ["crashed"]
    assert project.record().total.cost_usd == 0.25
    wait_until(lambda: not living(project), 10)


@pytest.mark.parametrize("kept", ["[]", "blocks"])
def test_session_ends_if_a_worker_runs_out_of_memory(project: GumpProject, kept: str) -> None:
    """The memory is free again after the error (`[]`), or it is not (`blocks`)."""
    project.write({"conftest.py": EXITING.format(way=GREEDY.format(kept=kept))})
    project.workflow("mine", ONE.replace("claude-haiku", "exiting").replace("name: one", "name: mine"))
    result = project.pytester.runpytest_subprocess("--gump-workflow=mine", "-n1", "spec.md", timeout=60)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(project) in (["agent_error"], ["crashed", "crashed"])  # the process survives, or is lost
    output = result.stdout.str()
    assert "MemoryError" in output or "was lost while it worked" in output
    assert project.record().total.cost_usd == 0.0
    wait_until(lambda: not living(project), 10)


GREEDY = """
            import resource
            size = int(open("/proc/self/statm").read().split()[0]) * 4096 + (64 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
            blocks = []
            try:
                while True:
                    blocks.append(bytearray(1 << 12))
            finally:
                Exiting.kept = {kept}
"""


@pytest.mark.slow
def test_worktree_of_a_lost_agent_that_is_still_running_is_not_reused(project: GumpProject) -> None:
    """The agent's keeper and supervisor hang, so nothing stops the agent when the worker is lost."""
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        wait_until(lambda: agents(project) and said(project, b"result"))
        first = agents(project)[0]  # it prints nothing more, so a broken pipe does not end it
        keepers = first.parents()[1::-1]
        try:
            for one in (*keepers, first):
                _move_out_of_cgroup(one.pid)  # the next worker ends what is in the lost worker's cgroup
            for keeper in keepers:
                keeper.suspend()
            worker = worker_of(first)
            worker.kill()
            wait_until(lambda: len(agents(project)) == 2)
            second = next(one for one in agents(project) if one != first)
            assert (Path(first.cwd()).name, Path(second.cwd()).name) == ("w1", "w2")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            assert first.is_running()
            assert (cache(project) / "w1.lease").read_bytes()
            assert not (cache(project) / "w2.lease").read_bytes()
        finally:
            for one in (*keepers, first):
                one.kill()
    wait_until(partial(is_gone, first))


def _move_out_of_cgroup(pid: int) -> None:
    for mount in (
        line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line
    ):
        own = next(line[3:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines() if line.startswith("0::/"))
        group = Path(f"{mount}{own}")
        if group.name.startswith("gump-"):
            (group.parent / "cgroup.procs").write_text(str(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_session_stops_all_workers_and_agents_within_seconds(
    project: GumpProject, number: signal.Signals
) -> None:
    project.workflow("side", SIDE_FOREVER)
    for name in ("left", "right"):
        project.answer(f"both::{name}", writes={f"{name}.py": "x = 1\n"}, exit_code=None, cost_usd=0.25)
    with replayed(project, "--gump-workflow=side", "spec.md") as process:
        wait_until(lambda: len(agents(project)) == 2)
        wait_until(lambda: said(project, b"result") == 2)
        rest()
        os.killpg(process.pid, number) if number is signal.SIGINT else process.send_signal(number)
        wait_until(lambda: not agents(project), 5)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert not living(project)
    record = project.record()
    assert (record.status, record.reason) == ("cancelled", "interrupted")
    assert outcomes(project) == ["cancelled", "cancelled"]
    assert record.total.cost_usd == 0.5
    assert "Traceback" not in output


SIDE_FOREVER = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - {name: left, agent: claude-haiku, prompt: Do the left.}
      - {name: right, agent: claude-haiku, prompt: Do the right.}
"""


SEVERAL = """
if step == "decompose":
    plan(*({{"name": f"n{{number}}", "description": "d"}} for number in range({count})))
if item:
    usage(0.25)
    write(f"{{item}}.txt", "x")
    open(f"{flags}/{{item}}-{{os.getpid()}}", "w").close()
    while not os.path.exists("{flags}/go"):
        time.sleep(0.05)
"""


def several(project: GumpProject, flags: Path, count: int) -> tuple[str, ...]:
    """Prepare items that run on one worker until the file `go` exists. Return the arguments of the session."""
    flags.mkdir()
    prepare(project, SEVERAL.format(count=count, flags=flags))
    return ("--gump-workflow=side", "-n1", "-o", f"gump_workers={count}", "--tb=no", "spec.md")


def started_agents(flags: Path) -> list[psutil.Process]:
    return [psutil.Process(int(path.name.split("-")[1])) for path in flags.glob("n*-*")]


def test_all_three_orders_of_a_killed_worker_are_lost_and_repeated(project: GumpProject, tmp_path: Path) -> None:
    words = several(project, flags := tmp_path / "flags", 3)
    with background(project, *words) as process:
        wait_until(lambda: len(started_agents(flags)) == 3)
        first = started_agents(flags)
        assert len({executor_of(agent).pid for agent in first}) == 3
        (worker,) = {worker_of(agent) for agent in first}
        worker.kill()
        wait_until(lambda: all(map(is_gone, first)))
        (flags / "go").touch()
        output, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.OK, output
    record = project.record()
    ended = {
        f"n{number}": [
            str(one.result.outcome) for one in record.attempts if one.result and f"impl[n{number}]" in one.step
        ]
        for number in range(3)
    }
    assert ended == {name: ["crashed", "passed"] for name in ("n0", "n1", "n2")}
    assert record.total.cost_usd == pytest.approx(6 * 0.25)
    assert {f"n{number}.txt" for number in range(3)} <= {*project.tree(record.head)}
    assert not living(project)


HELPED = """\
import os, subprocess, sys
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader, conversation

HELPER = '''
import os, pathlib, time
while os.path.exists("/proc/PARENT"):
    time.sleep(0.01)
pathlib.Path("FOLDER/waits").touch()
while not os.path.exists("FOLDER/go"):
    time.sleep(0.01)
pathlib.Path("FOLDER/ended").touch()
'''

class Helped:
    name = cli = "helped"
    cost = "reported"
    def missing(self): return None
    def reader(self, task): return NeutralReader(task, cli=self.cli)
    def command(self, task):
        if not os.path.exists("FOLDER/waits"):
            script = HELPER.replace("PARENT", str(os.getpid()))
            subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
            os.kill(os.getpid(), 9)
        ended = os.path.exists("FOLDER/ended")
        return Command((sys.executable, "-c", f"open('ended-{ended}.txt', 'w')"))

def pytest_gump_agents():
    return {"helped": Helped()}
"""


def test_lost_order_is_repeated_after_the_children_of_its_process_ended(project: GumpProject, tmp_path: Path) -> None:
    """A child, git for example, may still write into the worktree."""
    project.write({"conftest.py": HELPED.replace("FOLDER", str(tmp_path))})
    project.workflow("mine", ONE.replace("claude-haiku", "helped").replace("name: one", "name: mine"))
    with background(project, "--gump-workflow=mine", "-n1", "--gump-no-preflight", "spec.md") as process:
        wait_until((tmp_path / "waits").exists)
        rest()
        assert len(project.record().attempts) == 1
        (tmp_path / "go").touch()
        output, _ = process.communicate(timeout=60)
    assert [one.result.outcome for one in project.record().attempts if one.result][:1] == ["crashed"], output
    snapshot = next(one.result.snapshot for one in project.record().attempts[1:] if one.result and one.result.snapshot)
    assert "ended-True.txt" in project.tree(snapshot)


def test_ctrl_c_stops_four_orders_of_one_worker_within_seconds(project: GumpProject, tmp_path: Path) -> None:
    words = several(project, flags := tmp_path / "flags", 4)
    with background(project, *words) as process:
        wait_until(lambda: len(started_agents(flags)) == 4)
        working = started_agents(flags)
        rest()
        os.killpg(process.pid, signal.SIGINT)
        wait_until(lambda: all(map(is_gone, working)), 5)
        output, _ = process.communicate(timeout=15)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert outcomes(project)[1:] == ["cancelled"] * 4
    assert project.record().total.cost_usd == pytest.approx(1.0)
    assert "Traceback" not in output
    wait_until(lambda: not living(project), 10)


def test_killed_controller_leaves_no_worker_and_no_agent(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, exit_code=None)
    with replayed(project, "--gump-workflow=one", "-n1", "spec.md") as process:
        wait_until(lambda: agents(project))
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 3
        process.kill()
        process.wait()
        wait_until(lambda: all(map(is_gone, family)), 10)
    assert not living(project)


def test_preflight_error_on_a_worker_fails_only_its_own_run(project: GumpProject) -> None:
    project.write({"bad/conftest.py": UNFIT, "bad/other.md": "# Another\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    result = project.run("one", "-n1", "bad/other.md", "--tb=no")
    assert result.parseoutcomes() == {"failed": 1, "passed": 1, "skipped": 1}
    records = {record.spec: record for record in (fold(read_ledger(one.ledger)) for one in project.folders())}
    assert records["spec.md"].status == "passed"
    refused = records["bad/other.md"]
    assert (refused.status, refused.total.cost_usd) == ("failed", 0.0)
    assert "preflight: pytest_gump_gates raised RuntimeError: not on workers" in refused.steps["impl"].reason


UNFIT = """\
on_worker = False

def pytest_configure(config):
    global on_worker
    on_worker = hasattr(config, "workerinput")

def pytest_gump_gates():
    if on_worker:
        raise RuntimeError("not on workers")
    return {}
"""
