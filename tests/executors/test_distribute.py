"""Steps that run on workers of pytest-xdist."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.executors.protocol import CAN_FORK

from tests.kits.workers import SIDE, write_side
from tests.kits.workflows import BROKEN, PLAN
from tests.reporters.test_terminal import run_on_terminal

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.testing import GumpProject

pytestmark = pytest.mark.usefixtures("measured_children")

SPECS = ("spec.md", "other.md")
WORKERS = "1/1 worker" if CAN_FORK else "2/2 workers"
"""Workers that a session starts if two of its steps can run in parallel."""


@pytest.fixture
def rich(project: GumpProject) -> GumpProject:
    """Return a project with two specs, two workflows with retries and a plan, and ordinary tests, one of which fails."""
    project.workflow("plan", PLAN.replace("foreach: decompose", "foreach: decompose\n    parallel: true"))
    tests = "import pytest\n@pytest.mark.parametrize('n', range(12))\ndef test_it(n): assert n != 3\n"
    project.write({"other.md": "# Another\n", "test_ordinary.py": tests})
    project.commit()
    project.plan("decompose", "one", "two")
    for item in ("one", "two"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}_made.py": "def test_it(): pass\n"})
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"}, cost_usd=0.5)
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.125)
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    return project


def runs(project: GumpProject) -> dict[tuple[str, str], RunRecord]:
    records = [fold(read_ledger(folder.ledger)) for folder in project.folders()]
    return {(record.spec, record.workflow): record for record in records}


def figures(records: dict[tuple[str, str], RunRecord]) -> dict[object, object]:
    return {
        key: (
            record.status,
            round(record.total.cost_usd, 6),
            {path: (step.status, len(step.attempts)) for path, step in record.steps.items()},
        )
        for key, record in records.items()
    }


def warm_up(project: GumpProject) -> str:
    """Write an ordinary test, which runs after every worker has started, and return its path."""
    project.write({"test_warm.py": "def test_it(): pass\n"})
    project.commit()
    return "test_warm.py"


def cases_of(project: GumpProject, name: str) -> set[tuple[str, str, str]]:
    cases = ET.parse(project.path / name).getroot().iter("testcase")
    return {(case.get("classname", ""), case.get("name", ""), "".join(child.tag for child in case)) for case in cases}


@pytest.mark.slow
def test_workers_have_the_same_results_as_one_process(rich: GumpProject) -> None:
    words = ["--gump-workflow=retry", "test_ordinary.py", "other.md", "--tb=no"]
    serial = rich.run("plan", "-n0", "--junitxml=serial.xml", *words)
    expected, cases = figures(runs(rich)), cases_of(rich, "serial.xml")
    assert len(expected) == 4
    assert {record.status for record in runs(rich).values()} == {"passed"}
    for options in (["-n2", "--dist=load"], ["--dist=worksteal", "--tx=2*popen"]):
        rich.git("clean", "-fdxq", "--", ".gump/runs")
        result = rich.run("plan", *options, "--junitxml=parallel.xml", *words)
        assert result.parseoutcomes() == serial.parseoutcomes()
        assert result.ret == serial.ret == pytest.ExitCode.TESTS_FAILED
        assert figures(runs(rich)) == expected
        assert cases_of(rich, "parallel.xml") == cases


def test_ordinary_tests_run_before_the_first_step(project: GumpProject) -> None:
    project.write({"test_last.py": "import time\ndef test_it(): time.sleep(1)\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "-n2", "-v", "test_last.py")
    result.assert_outcomes(passed=2)
    lines = [line for line in result.outlines if "test_last.py" in line or "impl" in line]
    assert "PASSED" in lines[-2]
    assert "✓ impl" in lines[-1]


def test_with_x_no_step_starts_after_a_failed_ordinary_test(project: GumpProject) -> None:
    project.write({"test_bad.py": "def test_it(): assert False\n"})
    project.commit()
    result = project.run("one", "-n2", "-x", "test_bad.py")
    assert result.parseoutcomes()["failed"] == 1
    assert not project.folders()


def test_no_step_starts_if_a_test_file_cannot_be_imported(project: GumpProject) -> None:
    project.write({"test_broken.py": "import nothing_of_that_name\n"})
    project.commit()
    result = project.run("one", "-n1", "test_broken.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not project.folders()


def test_a_missing_spec_is_reported_once_and_starts_no_run(project: GumpProject) -> None:
    result = project.run("one", "-n2", "nosuch.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().count("nosuch.md") == 1
    assert not project.folders()


def test_steps_on_workers_are_selected_with_k(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "--gump-workflow=retry", "-n1", "-k", "retry")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 1}
    assert [folder.run_id.split("-")[2] for folder in project.folders()] == ["retry"]


def test_exit_code_is_no_tests_collected_if_nothing_is_selected(project: GumpProject) -> None:
    result = project.run("one", "-n1", "-k", "nosuchstep")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_maxfail_does_not_count_attempts_that_are_retried(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    result = project.run("retry", "-n1", "--maxfail=1")
    assert result.parseoutcomes() == {"passed": 1, "retried": 1}
    assert result.ret == pytest.ExitCode.OK


def test_x_stops_and_records_steps_that_are_running(project: GumpProject) -> None:
    write_side(project, pauses_s=3)
    project.answer("impl", writes={"new.py": BROKEN}, pauses_s=[0.5] * 4)
    words = ["--gump-workflow=side", "-n2", "-x", "--gump-replay-delay=1", "--tb=no", warm_up(project)]
    result = project.run("one", *words)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    records = {record.workflow: record for record in runs(project).values()}
    assert records["one"].status == "failed"
    assert records["side"].status == "cancelled"
    assert {one.result.outcome for one in records["side"].attempts if one.result} == {"cancelled"}


def test_workers_start_if_steps_can_run_in_parallel(project: GumpProject) -> None:
    write_side(project)
    result = project.run("side")
    assert f"created: {WORKERS}" in result.stdout.str()
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("words", [["-n0"], ["-s"], ["test_ordinary.py"], ["-pcoverage_begins"]])
def test_no_worker_starts_if_an_option_or_the_session_rules_it_out(project: GumpProject, words: list[str]) -> None:
    project.write({"test_ordinary.py": "def test_it(): pass\n", "coverage_begins.py": COVERAGE_BEGINS})
    project.pytester.syspathinsert()
    write_side(project)
    result = project.run("side", *words)
    assert "created:" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.OK


COVERAGE_BEGINS = """\
def pytest_load_initial_conftests(early_config):
    early_config.pluginmanager.register(object(), "_cov")
"""


def test_gump_slots_limits_the_agents_of_a_cli(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\ngump_slots = claude=1\n"})
    project.workflow("side", SIDE_CLAUDE)
    for name in ("left", "right"):
        project.answer(f"both::{name}", writes={f"{name}.py": "x = 1\n"}, pauses_s=[0.3] * 4)
    project.answer("both::other", writes={"other.py": "x = 1\n"})
    result = project.run("side", "-n2", "--gump-replay-delay=1", warm_up(project))
    result.assert_outcomes(passed=7)
    attempts = sorted((one for one in project.record().attempts if one.agent), key=lambda one: one.started)
    assert [one.step for one in attempts] == ["both::left", "both::other", "both::right"]
    assert attempts[1].started < attempts[0].started + attempts[0].duration_s <= attempts[2].started


def test_the_last_line_shows_every_running_step(project: GumpProject) -> None:
    write_side(project, pauses_s=0.5)
    project.answer("impl", writes={"new.py": "x = 1\n"})
    output = run_on_terminal(
        project, "--gump-workflow=side", "-n2", "--gump-replay-delay=1", warm_up(project), env={"COLUMNS": "120"}
    )
    live = [part.rstrip("\n") for part in output.split("\r") if part.startswith("… 2 running")]
    assert any("side left claude-haiku" in line and " | side right codex" in line for line in live)
    assert all(len(line) < 120 for line in live)
    finished = [line for line in output.splitlines() if "✓ " in line]
    assert any("one  ✓ impl" in line for line in finished)
    assert any("side    ✓ left" in line for line in finished)


def test_the_budget_of_a_run_applies_to_all_workers_together(project: GumpProject) -> None:
    project.write({"conftest.py": SPENDER})
    text = SIDE.replace("name: side", "name: side\nmax_budget: 1").replace("claude-haiku", "spender")
    project.workflow("side", text.replace("codex", "spender"))
    result = project.pytester.runpytest_inprocess("--gump-workflow=side", "-n2", "spec.md")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    assert {str(one.result.outcome) for one in record.attempts if one.result is not None} == {"budget"}
    assert 1 <= record.total.cost_usd <= 1.21  # each of the two agents can spend one more answer
    assert "max_budget of $1.00 is spent" in result.stdout.str()


SPENDER = """\
import sys
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader

SCRIPT = '''
import json, time
print(json.dumps({"type": "started", "session_id": "1", "model": "m"}), flush=True)
for answer in range(1, 60):
    print(json.dumps({"type": "turn"}), flush=True)
    print(json.dumps({"type": "usage", "tokens": {"input": answer}, "cost_usd": answer / 10}), flush=True)
    time.sleep(0.5)
'''

class Spender:
    name, cli, cost = "spender", "spender", "reported"

    def missing(self):
        return None

    def command(self, task):
        return Command((sys.executable, "-c", SCRIPT))

    def reader(self, task):
        return NeutralReader(task, cli=self.cli)

def pytest_gump_agents():
    return {"spender": Spender()}
"""

SIDE_CLAUDE = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - {name: left, agent: claude-haiku, prompt: Do the left.}
      - {name: right, agent: claude-opus, prompt: Do the right.}
      - {name: other, agent: codex, prompt: Do the other.}
"""
