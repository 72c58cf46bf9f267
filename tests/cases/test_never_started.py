"""Runs that fail before the first agent starts. The resumed run starts the agents."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.testing import GumpProject

WORKFLOW = """\
name: small
{setup}steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: ["bash: {check}"]
  - name: review
    agent: claude-opus
    output: artifact
    prompt: Look at it.
"""


@pytest.fixture
def tool(gump_project: GumpProject) -> Path:
    """Return the path of a command that does not exist yet."""
    return gump_project.path.parent / f"{gump_project.path.name}-tool"


def install(tool: Path) -> None:
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)


def start(project: GumpProject, tool: Path) -> pytest.RunResult:
    project.write({"pytest.ini": f"[pytest]\ngump_test = {tool}\n"})
    project.workflow("small", WORKFLOW.format(setup="", check="true").replace('"bash: true"', "test"))
    return project.run("small", "--junit-xml=junit.xml", "--gump-ci=gitlab")


def resume(project: GumpProject) -> pytest.RunResult:
    return project.pytester.runpytest_inprocess("--gump-resume", f"--gump-replay={project.cassette}")


def gump(project: GumpProject, *words: str) -> str:
    return project.pytester.run(sys.executable, "-m", "pytest_gump", *words).stdout.str()


def test_an_error_of_the_preflight_is_shown_as_such(gump_project: GumpProject, tool: Path) -> None:
    result = start(gump_project, tool)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1, skipped=2)
    result.stdout.fnmatch_lines(["? preflight*"])
    result.stdout.no_fnmatch_line("*claude-haiku*")
    result.stdout.no_fnmatch_line("*what the agent did*")
    assert [event["event"] for event in gump_project.ledger()] == [
        *("run_started", "preflight", "skipped", "run_finished"),
    ]
    data: dict[str, Any] = json.loads(gump(gump_project, "report", "--json"))
    assert data["run"]["status"] == "failed"
    assert data["run"]["reason"].startswith("preflight: test: ")
    assert data["preflight"]["reason"].startswith("test: ")
    assert [step["attempts"] for step in data["steps"]] == [[], []]
    assert "preflight: test: " in gump(gump_project, "report")
    assert " preflight " in gump(gump_project, "status")
    cases = {one.get("name"): [child.tag for child in one] for one in ET.parse("junit.xml").iter("testcase")}
    assert cases["preflight"] == ["failure"]
    assert cases["impl"] == cases["review"] == ["skipped"]
    assert "preflight: test: " in (gump_project.path / ".gump/ci/summary.md").read_text()


def test_agents_start_when_the_run_is_resumed(gump_project: GumpProject, tool: Path) -> None:
    start(gump_project, tool)
    install(tool)
    gump_project.answer("impl", writes={"new.py": "x = 1\n"})
    gump_project.answer("review", out={"artifact.txt": "fine"})
    result = resume(gump_project)
    assert result.ret == pytest.ExitCode.OK
    record = gump_project.record()
    assert [(one.step, one.attempt, one.agent) for one in record.attempts] == [
        ("impl", 1, "claude-haiku"), ("review", 1, "claude-opus"),
    ]  # fmt: skip
    assert "new.py" in gump_project.tree(record.branch)
    assert record.preflight is not None
    assert record.preflight["reason"] is None


def test_a_run_resumed_without_a_fix_fails_in_the_same_way(gump_project: GumpProject, tool: Path) -> None:
    start(gump_project, tool)
    assert resume(gump_project).ret == pytest.ExitCode.TESTS_FAILED
    assert gump_project.record().attempts == []
    assert gump_project.record().stopped_at_preflight


def test_a_worktree_that_cannot_be_set_up_fails_before_the_first_step(gump_project: GumpProject, tool: Path) -> None:
    gump_project.workflow("small", WORKFLOW.format(setup=f"setup: ['{tool}']\n", check="true"))
    gump_project.answer("impl", writes={"new.py": "x = 1\n"})
    gump_project.answer("review", out={"artifact.txt": "fine"})
    result = gump_project.run("small")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["? preflight*", "*preflight: setup failed: *"])
    assert gump_project.record().attempts == []
    install(tool)
    assert resume(gump_project).ret == pytest.ExitCode.OK
    assert [one.agent for one in gump_project.record().attempts] == ["claude-haiku", "claude-opus"]


def test_an_attempt_whose_worktree_cannot_be_set_up_is_repeated(gump_project: GumpProject, tool: Path) -> None:
    gump_project.workflow("small", WORKFLOW.format(setup=f"setup: ['{tool}']\n", check="true"))
    gump_project.answer("impl", writes={"new.py": "x = 1\n"})
    gump_project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    gump_project.answer("review", out={"artifact.txt": "fine"})
    result = gump_project.run("small", "--gump-no-preflight")
    result.stdout.fnmatch_lines(["? impl *not started*"])
    result.stdout.no_fnmatch_line("*what the agent did*")
    attempt = gump_project.record().attempts[0].result
    assert attempt is not None
    assert (attempt.outcome, attempt.never_started) == ("gate_error", True)
    install(tool)
    assert resume(gump_project).ret == pytest.ExitCode.OK
    record = gump_project.record()
    assert [one.agent for one in record.attempts] == ["claude-haiku", "claude-haiku", "claude-opus"]
    assert "new.py" in gump_project.tree(record.branch)


def test_a_ledger_of_an_earlier_version_does_not_pass_without_an_agent(gump_project: GumpProject, tool: Path) -> None:
    """Such a ledger contains the failure of the preflight as the first attempt of a step."""
    gump_project.answer("impl", writes={"new.py": "x = 1\n"})
    start(gump_project, tool)
    failed = gump_project.folders()[0]
    install(tool)
    gump_project.run("small")
    begun = next(event for event in gump_project.ledger() if event["event"] == "attempt_started")
    _write_as_attempt(failed.ledger, begun)
    for newer in gump_project.folders()[:1]:
        shutil.rmtree(newer.path)
    gump_project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    gump_project.answer("review", out={"artifact.txt": "fine"})
    assert resume(gump_project).ret == pytest.ExitCode.OK
    assert [(one.step, one.agent) for one in gump_project.record().attempts] == [
        ("impl", "claude-haiku"), ("impl", "claude-haiku"), ("review", "claude-opus"),
    ]  # fmt: skip


def _write_as_attempt(ledger: Path, begun: Event) -> None:
    began, preflight, skipped, finished = (json.loads(line) for line in ledger.read_text().splitlines())
    base, at = began["base"], preflight["at"]
    usage = {"tokens": {}, "cost_usd": 0.0, "provenance": "reported", "turns": 0, "tool_calls": 0}
    result = {
        "step": "impl", "attempt": 1, "outcome": "gate_error", "reason": "preflight: test: command not found",
        "agent": "claude-haiku", "timings": {"started": at, "total_s": 0.0}, "usage": usage,
    }  # fmt: skip
    events = [
        began,
        preflight,
        {**begun, "at": at, "base": base, "step_base": base},
        {"event": "attempt_finished", "at": at, "number": 1, "folder": None, "result": result, "presumed_usd": None},
        {
            "event": "decided", "at": at, "number": 1, "verdict": "failed", "outcome": "gate_error", "why": "",
            "reason": result["reason"], "decisions": [], "replanned": None, "failed": [], "commit": base, "head": base,
        },
        {**skipped, "steps": ["review"]},
        {**finished, "reason": ""},
    ]  # fmt: skip
    ledger.write_text("".join(f"{json.dumps(event)}\n" for event in events))
