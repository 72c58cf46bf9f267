"""Approvals: `approve:` steps and `hitl:`, answered by `gump approve` or at a real terminal, also around kills.

`GUMP_KILL_MATRIX=all` kills at every event.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.system.processes.process_table import MARK
from pytest_gump.testing import USER

from tests.kits import parallel as parallel_kit
from tests.kits.commands import gump
from tests.kits.kill import KILLER, check_dead, newest, session
from tests.kits.processes import PYTEST
from tests.kits.terminal import on_terminal

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

SHIP: Final = """\
name: ship
steps:
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    gate: [compile]
  - name: ship
    approve: {show: [diff, cost], expires: 3d}
  - name: after
    gate: [compile]
"""
HITL: Final = """\
name: paused
steps:
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    hitl: HITL
    gate: ["touched: it.py", compile]
    on_failure: {retry: 2}
  - name: after
    gate: [compile]
"""


HOOKS: Final = """\
def say(order):
    with open({log!r}, "a") as file:
        print(order.step, order.attempt, order.agent, file=file)

def pytest_gump_attempt_started(order):
    say(order)

def pytest_gump_attempt_finished(order, result):
    say(order)
"""


def resume(project: GumpProject, *words: str) -> pytest.RunResult:
    return project.pytester.runpytest_inprocess("--gump-resume", *words)


def events(project: GumpProject, name: str) -> list[dict[str, object]]:
    return [event for event in project.ledger() if event["event"] == name]


@pytest.fixture
def waiting(project: GumpProject) -> GumpProject:
    """Return the project of a run that waits at its approval step."""
    project.workflow("ship", SHIP)
    project.answer("impl", writes={"it.py": "x = 1\n"})
    result = project.run("ship")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*ship*approval*waits for approval*", "*gump approve*approve it until ??? ??, ??:??, or add --reject*"]
    )
    return project


def test_nothing_waits_without_a_terminal(waiting: GumpProject) -> None:
    record = waiting.record()
    assert record.status == "awaiting"
    assert {path: step.outcome for path, step in record.steps.items()} == {
        "impl": "passed",
        "ship": "awaiting",
        "after": "skipped",
    }

    first = record.approvals.questions
    assert resume(waiting).ret == pytest.ExitCode.TESTS_FAILED
    assert (waiting.record().status, waiting.record().approvals.questions) == ("awaiting", first)
    assert len(events(waiting, "attempt_started")) == 2


def test_an_approved_run_continues(waiting: GumpProject) -> None:
    assert gump("approve", "--by", "Ada").returncode == 0
    assert resume(waiting).ret == pytest.ExitCode.OK
    record = waiting.record()
    assert record.status == "passed"
    assert record.approvals.answers[0].by == "Ada"
    assert waiting.pytester.runpytest_inprocess("--gump-from=ship").ret == pytest.ExitCode.OK, "the same files"
    assert gump("apply").returncode == 0
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.approvals.answers[0].at))
    assert f"Gump-Approved: ship by Ada on {when}" in waiting.git("log", "-1", "--format=%B")


def test_a_new_run_from_the_step_asks_again_and_can_be_resumed(waiting: GumpProject) -> None:
    assert waiting.pytester.runpytest_inprocess("--gump-from=ship").ret == pytest.ExitCode.TESTS_FAILED
    assert "+x = 1" in gump("diff", "ship").stdout
    assert gump("approve", "--by", "Ada", "--reject", "no").returncode == 0
    resume(waiting).stdout.fnmatch_lines(["*ship: review_failed: rejected by Ada: no*"])
    assert [event["attempt"] for event in events(waiting, "attempt_started")] == [1, 1]


@pytest.mark.parametrize("hitl", ["before_gate", "after_gate"])
def test_the_agent_runs_again_after_a_rejection_and_not_after_an_approval(project: GumpProject, hitl: str) -> None:
    log = project.path.parent / f"{project.path.name}-hooks.log"
    project.write({"conftest.py": HOOKS.format(log=str(log))})
    project.workflow("paused", HITL.replace("HITL", hitl))
    project.answer("impl", writes={"it.py": "x = 1\n"})
    project.answer("impl", attempt=2, writes={"it.py": "x = 2\n"})
    assert project.run("paused").ret == pytest.ExitCode.TESTS_FAILED
    (attempt,) = project.record().attempts
    assert attempt.result is not None
    assert len(attempt.result.gates) == (0 if hitl == "before_gate" else 2)
    assert gump("approve", "--by", "Ada", "--reject", "two is better").returncode == 0
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert "two is better" in project.prompt("impl", 2)
    assert project.record().status == "awaiting"
    assert gump("approve", "--by", "Ada").returncode == 0
    assert resume(project).ret == pytest.ExitCode.OK
    assert project.tree(project.record().branch)["it.py"] == "x = 2"
    agents = [event["agent"] for event in events(project, "attempt_started")]
    assert agents == ["claude-haiku", "claude-haiku", *([None] if hitl == "before_gate" else []), None]
    calls = [["impl 1 claude-haiku"] * 2, ["impl 2 claude-haiku"] * 2, ["impl 2 None"] * 2, ["after 1 None"] * 2]
    assert log.read_text().splitlines() == [*chain(*(calls if hitl == "before_gate" else [*calls[:2], calls[3]]))]


AGAIN: Final = """\
name: again
steps:
  - {name: impl, agent: claude-haiku, prompt: Build it., hitl: after_gate}
  - name: judge
    agent: claude-haiku
    prompt: Judge it.
    output: review
    on_failure: {retry: 2, restart_from: impl}
"""
SIDE: Final = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: Do one., hitl: before_gate, gate: [compile]}
      - {name: two, agent: claude-haiku, prompt: Do two., gate: [compile]}
  - {name: after, gate: [compile]}
"""


def test_an_approval_does_not_apply_to_other_files(project: GumpProject) -> None:
    project.workflow("again", AGAIN)
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": f"x = {attempt}\n"})
        project.review("judge", attempt=attempt, passes=attempt == 2)
    project.run("again")
    assert gump("approve", "--by", "Ada").returncode == 0
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert project.record().status == "awaiting"
    assert len(events(project, "awaiting")) == 2


def test_with_workers_other_members_finish_and_no_later_member_is_merged(project: GumpProject) -> None:
    project.workflow("side", SIDE)
    for name in ("one", "two"):
        project.answer(f"both::{name}", writes={f"{name}.py": "x = 1\n"})
    result = project.run_apart("side", "-n2", "--junitxml=run.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*gump diff both::one *what to approve*", "*1 awaiting*"])
    record = project.record()
    assert {path: step.outcome for path, step in record.steps.items()} == {
        "both::one": "awaiting",
        "both::two": "passed",
        "both::merge[one]": "skipped",
        "both::merge[two]": "skipped",
        "after": "skipped",
    }
    assert project.git("diff", "--name-only", record.base, record.branch) == ""
    (case,) = [case for case in ET.parse(project.path / "run.xml").iter("testcase") if case.get("name") == "one"]
    skipped = case.find("skipped")
    assert skipped is not None
    assert "awaiting: waits for approval" in str(skipped.get("message"))
    assert gump("approve", "--by", "Ada").returncode == 0
    assert project.pytester.runpytest_subprocess("--gump-resume", "-n2").ret == pytest.ExitCode.OK
    changed = project.git("diff", "--name-only", record.base, project.record().branch)
    assert changed.split() == ["one.py", "two.py"]


def test_a_missing_answer_is_a_rejection_when_the_time_is_over(waiting: GumpProject) -> None:
    ledger = waiting.folders()[0].ledger
    over = [
        {**event, "expires": event["since"]} if event["event"] == "awaiting" else event for event in waiting.ledger()
    ]
    ledger.write_text("".join(f"{json.dumps(event)}\n" for event in over))
    assert "ship: the time for an answer ended at" in gump("approve", "--by", "Ada").stderr
    result = resume(waiting)
    result.stdout.fnmatch_lines(["*ship: review_failed: no approval in time: expired*"])
    assert waiting.record().status == "failed"


def test_pause_after_asks_about_a_step_also_in_a_resumed_run(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n"})
    project.run("one", "--gump-pause-after=impl")
    assert project.record().status == "awaiting"
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert gump("approve", "--by", "Ada").returncode == 0
    assert resume(project).ret == pytest.ExitCode.OK


LOOK: Final = "name: look\nsteps:\n  - {name: judge, agent: claude-opus, output: review, prompt: Judge it.}\n"
PLANNED: Final = """\
name: planned
steps:
  - {name: split, agent: claude-haiku, prompt: Split it., output: plan, gate: [schema], hitl: before_gate}
  - name: build
    foreach: split
    hitl: after_gate
    steps:
      - {name: impl, agent: claude-haiku, prompt: "{item.name}", gate: [compile]}
    gate: [compile, {validate: look}]
"""


def test_a_plan_and_a_group_are_approved(project: GumpProject) -> None:
    project.workflow("planned", PLANNED)
    project.workflow("look", LOOK)
    project.plan("split", "a", "b")
    project.review("build::gate--validate-look::judge", passes=True)
    for name in ("a", "b"):
        project.answer(f"build::impl[{name}]", writes={f"{name}.py": "x = 1\n"})
    project.run("planned")
    assert "\n  - a: do a\n  - b: do b\n" in gump("log", "split").stdout
    assert gump("approve", "split", "--by", "Ada").stdout.startswith("- a: do a\n- b: do b\n")
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert project.record().steps["build::gate"].outcome == "awaiting"
    assert "+++ b/b.py" in gump("diff", "build::gate").stdout
    assert gump("approve", "build::gate", "--by", "Ada").returncode == 0
    assert resume(project).ret == pytest.ExitCode.OK
    assert {"a.py", "b.py"} <= {*project.tree(project.record().branch)}


CHECKED: Final = """\
name: checked
steps:
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    hitl: HITL
    gate: [compile, {validate: look}]
    on_failure: {retry: 2}
  - {name: after, gate: [compile]}
"""
PERSON: Final = "impl--validate--approval::approve"


@pytest.mark.parametrize("hitl", ["before_gate", "after_gate"])
def test_a_person_is_asked_before_the_gates_or_after_the_validators(project: GumpProject, hitl: str) -> None:
    project.workflow("look", LOOK)
    project.workflow("checked", CHECKED.replace("HITL", hitl))
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": f"x = {attempt}\n"})
        project.review("impl--validate-look::judge", attempt=attempt, passes=True)
    assert project.run("checked").ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    waiting = "impl" if hitl == "before_gate" else PERSON
    assert (record.status, record.steps[waiting].outcome, record.steps["impl"].outcome) == ("awaiting",) * 3
    assert ("impl--validate-look::judge" in record.steps) is (hitl == "after_gate")
    done = gump("approve", "impl", "--by", "Ada", "--reject", "two is better")
    assert "1 changed file, +1 -0 lines" in done.stdout, done.stderr
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert "two is better" in project.prompt("impl", 2)
    assert gump("approve", "--by", "Ada").returncode == 0
    assert resume(project).ret == pytest.ExitCode.OK
    assert project.tree(project.record().branch)["it.py"] == "x = 2"
    agents = [event["agent"] for event in events(project, "attempt_started") if event["agent"]]
    assert Counter(agents)["claude-haiku"] == 2


# -- at a terminal ---

DIALOGUE: Final = """\
name: ship
max_time: 1h
steps:
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    hitl: before_gate
    gate: [compile]
    on_failure: {retry: 2}
  - {name: ship, approve: {show: [diff, cost]}}
  - {name: after, gate: [compile]}
"""
ASKED: Final = "approve impl? [y/n/d/q]"


def fill(project: GumpProject) -> None:
    project.workflow("ship", DIALOGUE)
    project.answer("impl", writes={"it.py": "x = 1\n"})
    project.answer("impl", attempt=2, writes={"it.py": "x = 2\n"})


def words(project: GumpProject, *first: str) -> list[str]:
    return [*PYTEST, f"--gump-replay={project.cassette}", *first]


def test_the_answers_at_a_terminal_decide(project: GumpProject) -> None:
    fill(project)
    environment = {**os.environ, **USER, "CI": ""}
    with on_terminal(words(project, "--gump-workflow=ship", "spec.md"), project.path, environment) as terminal:
        terminal.expect("1 changed file, +1 -0 lines")
        terminal.expect(ASKED)
        for wrong in (b"what", b"yes, but", b"\xff"):
            terminal.type(wrong)
            terminal.expect("y = approve, n = reject with a reason")
            terminal.expect(ASKED)
        terminal.type("no")
        terminal.expect("why?")
        terminal.type("\x04", end="")
        terminal.expect(ASKED)
        terminal.type("n")
        terminal.expect("why?")
        terminal.type("two is better\ny")  # the second line answers no later question
        terminal.expect(ASKED)
        terminal.type("d")
        terminal.expect("+x = 2")
        terminal.expect(ASKED)
        terminal.type("y")
        terminal.expect("approve ship?")
        terminal.type("q")
        terminal.expect("gump approve")
        assert terminal.end() == 1
    record = project.record()
    assert record.status == "awaiting"
    assert "two is better" in project.prompt("impl", 2)
    first, second = record.approvals.answers
    assert (first.approved, first.text, second.approved) == (False, "two is better", True)
    assert second.by == "A User <user@example.org>"
    with on_terminal([*PYTEST, "--gump-resume", "-n1"], project.path, environment) as terminal:
        terminal.expect("approve ship?")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == pytest.ExitCode.INTERRUPTED
    assert project.record().steps["ship"].outcome == "awaiting"
    with on_terminal([*PYTEST, "--gump-resume", "-n1"], project.path, environment) as terminal:
        terminal.expect("approve ship?")
        terminal.type("y")
        assert terminal.end() == 0
    assert project.record().status == "passed"
    assert project.tree(project.record().branch)["it.py"] == "x = 2"


@pytest.mark.parametrize("variable", ["CI", MARK])
def test_nobody_is_asked_in_ci_or_by_an_agent(project: GumpProject, variable: str) -> None:
    fill(project)
    environment = {**os.environ, **USER, "CI": "", variable: "true"}
    with on_terminal(words(project, "--gump-workflow=ship", "spec.md"), project.path, environment) as terminal:
        assert terminal.end() == 1
        assert ASKED not in terminal.output
        assert "waits for approval" in terminal.output


# -- kills ---

KILLED: Final = """\
name: side
steps:
  - name: impl
    agent: script
    prompt: Build it.
    hitl: before_gate
    gate: [compile]
    on_failure: {retry: 2}
  - {name: notes, agent: script, prompt: Note it., gate: [compile], hitl: after_gate}
  - {name: ship, approve: true}
"""
AGENT: Final = """\
pathlib.Path({log!r}).open("a").write(f"{{step}} {{attempt}}\\n")
usage(0.01)
write(f"{{step}}.py", f"x = {{attempt}}\\n")
"""
ALL: Final = os.environ.get("GUMP_KILL_MATRIX") == "all"
KILLS: Final = [*((event, 0) for event in range(1, 8)), *((0, event) for event in range(1, 11))] if ALL else [(5, 3)]
"""Events of the first session, and of the session after the first approval; 0: the session is not killed."""


@pytest.fixture
def killable(project: GumpProject) -> GumpProject:
    log = project.path.parent / f"{project.path.name}-agents.log"
    log.touch()
    parallel_kit.prepare(project, AGENT.format(log=str(log)), workflow=KILLED)
    project.write({"killer.py": KILLER})
    project.commit("tools")
    return project


def finish(project: GumpProject) -> None:
    """Approve and resume until the run has passed, and check that each agent has run once."""
    for _ in range(4):
        waiting = [step for step, one in newest(project).steps.items() if one.status == "awaiting"]
        if waiting:
            done = gump("approve", waiting[0], "--by", "Ada")
            assert done.returncode == 0 or "already approved" in done.stderr, done.stderr
        if session(project, "-n0", "--gump-resume").returncode == 0:
            break
    record = newest(project)
    assert record.status == "passed"
    assert {answer.step for answer in record.approvals.answers} == {"impl", "notes", "ship"}
    assert project.tree(record.branch)["notes.py"] == "x = 1"
    log = project.path.parent / f"{project.path.name}-agents.log"
    assert Counter(log.read_text().splitlines()) == {"impl 1": 1, "notes 1": 1}


@pytest.mark.parametrize(("first", "second"), KILLS)
def test_an_approval_survives_killed_sessions(killable: GumpProject, first: int, second: int) -> None:
    done = session(killable, "-n0", "--gump-workflow=side", "spec.md", kill_at=f"controller:{first}" if first else "")
    assert done.returncode == (-9 if first else 1)
    if first:
        check_dead(killable)
    if second:
        assert gump("approve", "impl", "--by", "Ada").returncode == 0
        assert session(killable, "-n0", "--gump-resume", kill_at=f"controller:{second}").returncode == -9
        check_dead(killable)
    finish(killable)
