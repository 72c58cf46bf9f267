"""Approvals: `approve:` steps and `hitl:`, answered by `gump approve` or at a real terminal, also around kills.

`GUMP_KILL_MATRIX=all` kills at every event.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.cli.program import main
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
    result.stdout.fnmatch_lines(["*ship*approval*waits for approval*", "*gump approve*approve it*"])
    return project


def test_nothing_waits_without_a_terminal(waiting: GumpProject) -> None:
    record = waiting.record()
    assert record.status == "awaiting"
    assert {path: step.outcome for path, step in record.steps.items()} == {
        "impl": "passed",
        "ship": "awaiting",
        "after": "skipped",
    }


def test_an_approved_run_continues(waiting: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["approve", "--by", "Ada"]) == 0
    assert resume(waiting).ret == pytest.ExitCode.OK
    record = waiting.record()
    assert record.status == "passed"
    assert record.approvals.answers[0].by == "Ada"
    assert main(["apply"]) == 0
    assert "Gump-Approved: ship by Ada on 20" in waiting.git("log", "-1", "--format=%B")


def test_a_rejected_run_fails(waiting: GumpProject) -> None:
    assert main(["approve", "--by", "Ada", "--reject", "too small"]) == 0
    result = resume(waiting)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*ship: review_failed: rejected by Ada: too small*"])


def test_a_resume_without_an_answer_still_waits(waiting: GumpProject) -> None:
    first = waiting.record().approvals.questions
    result = resume(waiting)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert waiting.record().status == "awaiting"
    assert waiting.record().approvals.questions == first
    assert len(events(waiting, "attempt_started")) == 2


@pytest.mark.parametrize("hitl", ["before_gate", "after_gate"])
def test_the_agent_does_not_run_again_after_an_approval(project: GumpProject, hitl: str) -> None:
    project.workflow("paused", HITL.replace("HITL", hitl))
    project.answer("impl", writes={"it.py": "x = 1\n"})
    assert project.run("paused").ret == pytest.ExitCode.TESTS_FAILED
    gates = project.record().attempts[0].result
    assert gates is not None
    assert len(gates.gates) == (0 if hitl == "before_gate" else 2)
    assert main(["approve", "impl", "--by", "Ada"]) == 0
    assert resume(project).ret == pytest.ExitCode.OK
    agents = [event["agent"] for event in events(project, "attempt_started")]
    assert agents == (["claude-haiku", None, None] if hitl == "before_gate" else ["claude-haiku", None])
    assert project.tree(project.record().branch)["it.py"] == "x = 1"


@pytest.mark.parametrize("hitl", ["before_gate", "after_gate"])
def test_the_reason_of_a_rejection_is_in_the_next_prompt(project: GumpProject, hitl: str) -> None:
    project.workflow("paused", HITL.replace("HITL", hitl))
    project.answer("impl", writes={"it.py": "x = 1\n"})
    project.answer("impl", attempt=2, writes={"it.py": "x = 2\n"})
    assert project.run("paused").ret == pytest.ExitCode.TESTS_FAILED
    assert main(["approve", "--by", "Ada", "--reject", "two is better"]) == 0
    assert resume(project).ret == pytest.ExitCode.TESTS_FAILED
    assert "two is better" in project.prompt("impl", 2)
    assert project.record().status == "awaiting"
    assert main(["approve", "--by", "Ada"]) == 0
    assert resume(project).ret == pytest.ExitCode.OK
    assert project.tree(project.record().branch)["it.py"] == "x = 2"


def test_an_attempt_cannot_approve(waiting: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "run-1")
    assert main(["approve", "--by", "me"]) == 1
    assert not waiting.record().approvals.answers


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
        terminal.type("what")
        terminal.expect("y = approve, n = reject with a reason")
        terminal.expect(ASKED)
        terminal.type("n")
        terminal.expect("why?")
        terminal.type("two is better")
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
    assert record.idle_s > 0, "the time in which a person answers does not count"
    with on_terminal([*PYTEST, "--gump-resume"], project.path, environment) as terminal:
        terminal.expect("approve ship?")
        terminal.type("y")
        assert terminal.end() == 0
    assert project.record().status == "passed"
    assert project.tree(project.record().branch)["it.py"] == "x = 2"


def test_nobody_is_asked_in_ci(project: GumpProject) -> None:
    fill(project)
    environment = {**os.environ, **USER, "CI": "true"}
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
FIRST: Final = range(1, 8) if ALL else (5,)
SECOND: Final = range(1, 11) if ALL else (3,)
"""Events of the session after the first approval."""


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


@pytest.mark.parametrize("event", FIRST)
def test_a_run_is_approved_after_its_session_was_killed(killable: GumpProject, event: int) -> None:
    assert session(killable, "-n0", "--gump-workflow=side", "spec.md", kill_at=f"controller:{event}").returncode == -9
    check_dead(killable)
    finish(killable)


@pytest.mark.parametrize("event", SECOND)
def test_an_approval_survives_the_death_of_the_next_session(killable: GumpProject, event: int) -> None:
    assert session(killable, "-n0", "--gump-workflow=side", "spec.md").returncode == 1
    assert gump("approve", "impl", "--by", "Ada").returncode == 0
    assert session(killable, "-n0", "--gump-resume", kill_at=f"controller:{event}").returncode == -9
    check_dead(killable)
    finish(killable)
