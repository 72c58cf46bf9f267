"""Every outcome of docs/reference/outcomes.md, as shown in the terminal, `gump report --json` and JUnit XML."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.cli.program import main
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.testing import GumpProject

TABLE = Path(__file__).parents[2] / "docs/reference/outcomes.md"

WORKFLOW = """\
name: flow
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
"""
TWO = WORKFLOW + "  - {name: later, agent: claude-haiku, prompt: Go on.}\n"
PLANNED = """\
name: flow
steps:
  - {name: plan, agent: claude-haiku, output: plan, prompt: Split it.}
  - name: build
    foreach: plan
    steps:
      - {name: impl, agent: claude-haiku, prompt: Do it.}
"""
SIDE = """\
name: flow
steps:
  - name: side
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: Do it.}
      - {name: two, agent: claude-haiku, prompt: Do it.}
"""


def with_step(**keys: str) -> str:
    return WORKFLOW + "".join(f"    {name}: {value}\n" for name, value in keys.items())


def passed(project: GumpProject) -> str:
    project.answer("impl", writes={"a.py": "a = 1\n"})
    return WORKFLOW


def gate_failed(project: GumpProject) -> str:
    project.answer("impl", writes={"a.txt": "a\n"})
    return with_step(gate='["touched: *.py"]')


def review_failed(project: GumpProject) -> str:
    project.review("impl", passes=False, comment="not as it should be")
    return with_step(output="review")


def out_of_bounds(project: GumpProject) -> str:
    project.plan("plan", {"name": "a", "description": "do a", "files": ["a.py"]})
    project.answer("build::impl[a]", writes={"b.py": "b = 1\n"})
    return PLANNED


def output_invalid(project: GumpProject) -> str:
    project.answer("impl", out={"plan.json": "[1, 2]"})
    return with_step(output="plan")


def agent_error(project: GumpProject) -> str:
    project.answer("impl", exit_code=3, outcome="agent_error", reason="it broke")
    return WORKFLOW


def guard(project: GumpProject) -> str:
    project.answer("impl", turns=9, exit_code=None)
    return with_step(guard="{max_turns: 2}")


def conflict(project: GumpProject) -> str:
    for name in ("one", "two"):
        project.answer(f"side::{name}", writes={"a.py": f"a = '{name}'\n"})
    return SIDE


def gate_error(project: GumpProject) -> str:
    project.write({"check.sh": "exit 0\n"})
    project.answer("impl", writes={"check.sh": "exit 127\n"})
    return with_step(gate='["bash: sh check.sh"]')


def no_change(project: GumpProject) -> str:
    project.answer("impl", says="Which one do you mean?")
    return WORKFLOW


def no_progress(project: GumpProject) -> str:
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"a.txt": "a\n"})
    return with_step(gate='["touched: *.py"]', on_failure="{retry: 5, strategy: [same]}")


def budget(project: GumpProject) -> str:
    project.answer("impl", cost_usd=5.0, turns=3, exit_code=None)
    return WORKFLOW.replace("steps:", "max_budget: 1.00\nsteps:")


def quota(project: GumpProject) -> str:
    project.answer("impl", exit_code=1, outcome="quota", reason="usage limit reached")
    return WORKFLOW


def awaiting(project: GumpProject) -> str:
    project.answer("impl", writes={"a.py": "a = 1\n"})
    return with_step(hitl="after_gate")


def crashed(project: GumpProject) -> str:
    agents = """\
        import os, signal

        class Killing:
            name = cli = "killing"
            cost = "reported"

            def missing(self):
                return None

            def command(self, task):
                os.kill(os.getpid(), signal.SIGKILL)

            def reader(self, task):
                raise NotImplementedError

        def pytest_gump_agents():
            return {"killing": Killing()}
    """
    project.write({"conftest.py": textwrap.dedent(agents)})
    return with_step().replace("claude-haiku", "killing")


def cancelled(project: GumpProject) -> str:
    project.answer("impl", writes={"a.py": "a = 1\n"}, exit_code=None)
    hook = """\
        import os, pathlib, signal, threading, time

        def pytest_gump_attempt_started(order):
            threading.Thread(target=interrupt, daemon=True).start()

        def interrupt():
            cache = pathlib.Path(os.environ["XDG_CACHE_HOME"])
            while not [*cache.glob("gump/worktrees/*/w1/a.py")]:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
    """
    project.write({"conftest.py": textwrap.dedent(hook)})
    return TWO


def skipped(project: GumpProject) -> str:
    project.answer("impl", exit_code=3, outcome="agent_error", reason="it broke")
    return TWO


# The outcome, a function that causes it, the step that has it, and how pytest counts the step.
CASES: list[tuple[Outcome, Callable[[GumpProject], str], str, str]] = [
    (Outcome.PASSED, passed, "impl", "passed"),
    (Outcome.GATE_FAILED, gate_failed, "impl", "failed"),
    (Outcome.REVIEW_FAILED, review_failed, "impl", "failed"),
    (Outcome.OUT_OF_BOUNDS, out_of_bounds, "build::impl[a]", "failed"),
    (Outcome.OUTPUT_INVALID, output_invalid, "impl", "failed"),
    (Outcome.NO_CHANGE, no_change, "impl", "failed"),
    (Outcome.AGENT_ERROR, agent_error, "impl", "failed"),
    (Outcome.GUARD, guard, "impl", "failed"),
    (Outcome.CONFLICT, conflict, "side::merge[two]", "failed"),
    (Outcome.GATE_ERROR, gate_error, "impl", "failed"),
    (Outcome.NO_PROGRESS, no_progress, "impl", "failed"),
    (Outcome.BUDGET, budget, "impl", "failed"),
    (Outcome.QUOTA, quota, "impl", "failed"),
    (Outcome.AWAITING, awaiting, "impl", "awaiting"),
    (Outcome.CRASHED, crashed, "impl", "failed"),
    (Outcome.CANCELLED, cancelled, "impl", "skipped"),
    (Outcome.SKIPPED, skipped, "later", "skipped"),
]


def test_the_table_of_the_docs_names_every_outcome() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    assert documented == [case[0] for case in CASES]
    assert sorted(documented) == sorted(Outcome)


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_an_outcome_is_the_same_in_terminal_report_and_junit(
    project: GumpProject,
    capsys: pytest.CaptureFixture[str],
    case: tuple[Outcome, Callable[[GumpProject], str], str, str],
) -> None:
    outcome, prepare, step, status = case
    project.workflow("flow", prepare(project))
    if outcome is Outcome.CRASHED:  # needs a worker, which the agent kills
        result = project.pytester.runpytest_subprocess("--gump-workflow=flow", "--junitxml=junit.xml", "-n1", "spec.md")
    else:
        run = project.run_apart if outcome is Outcome.CANCELLED else project.run
        result = run("flow", "--junitxml=junit.xml", "-p", "no:xdist")
    shown = result.stdout.str()

    capsys.readouterr()
    main(["report", "--json"])
    reported = next(one for one in json.loads(capsys.readouterr().out)["steps"] if one["path"] == step)
    assert (reported["outcome"], reported["status"]) == (outcome, status)

    cases = ET.parse(project.path / "junit.xml").findall(".//testcase")
    (testcase,) = (one for one in cases if one.get("name") == step.rpartition("::")[2])
    in_case = {one.get("name"): one.get("value") for one in testcase.findall("properties/property")}
    if reported["attempts"]:
        assert in_case["gump.outcome"] == outcome
    tags = {child.tag for child in testcase} & {"failure", "error", "skipped"}
    assert tags == {"passed": set(), "failed": {"failure"}, "skipped": {"skipped"}, "awaiting": {"skipped"}}[status]

    summary = shown.partition("= gump ")[2]
    if outcome in {Outcome.PASSED, Outcome.SKIPPED}:
        assert re.search(rf"^ *[✓○] {step} .*{'skipped: ' if reported['reason'] else ''}", shown, re.MULTILINE)
        assert f"{step}: " not in summary
    else:
        assert f"{'…' if outcome is Outcome.AWAITING else '✗'} {step}: {outcome}: " in summary
    main(["report"])
    if status == "failed":
        assert f"{step} failed: {outcome}: " in capsys.readouterr().out


def test_a_failed_step_keeps_its_outcome_if_its_group_fails_later(project: GumpProject) -> None:
    checked = "gate: ['touched: *.py'], on_failure: {retry: 5, strategy: [same]}, prompt: Do it.}"
    text = SIDE.replace("parallel: true", "parallel: true\n    on_failure: {retry: 2}").replace(
        "prompt: Do it.}", checked
    )
    project.workflow("flow", text)
    for step, attempt in (
        ("one", 1),
        ("one", 2),
        ("two", 1),
        ("two", 2),
        ("one", 3),
        ("one", 4),
        ("two", 3),
        ("two", 4),
    ):
        project.answer(f"side::{step}", attempt=attempt, writes={f"{step}.txt": "a\n"})
    result = project.run("flow", "--junitxml=junit.xml", "-p", "no:xdist")
    steps = [one for one in project.record().steps.values() if one.attempts]
    assert [(one.path, one.status, one.outcome) for one in steps] == [
        ("side::one", "failed", "no_progress"),
        ("side::two", "failed", "no_progress"),
    ]
    assert {one.reason for one in steps} == {"no progress: the same tree and the same failing checks twice in a row"}
    result.stdout.fnmatch_lines(["✗ side::one: no_progress: no progress*", "✗ side::two: no_progress: no progress*"])
    assert (project.path / "junit.xml").read_text().count('name="gump.outcome" value="no_progress"') == 2


def test_a_step_that_fails_in_its_replan_has_the_outcome_of_the_failed_part(project: GumpProject) -> None:
    project.workflow(
        "flow", with_step(gate='["touched: *.py"]', on_failure='{retry: 2, strategy: ["replan: claude-opus"]}')
    )
    project.answer("impl", writes={"a.txt": "a\n"})
    project.answer("impl--replan::plan", exit_code=3, outcome="agent_error", reason="it broke")
    project.run("flow", "-p", "no:xdist").assert_outcomes(failed=1)
    step = project.record().steps["impl"]
    assert (step.status, step.outcome) == ("failed", "agent_error")
    assert step.reason == "impl--replan::plan: it broke"
