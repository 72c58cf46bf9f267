"""Sessions with agents that change nothing. Gates that pass on the base do not prove any work."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.testing import GumpProject

WORKFLOW = """\
name: small
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile, lint]
"""
REASON = {"no_change.txt": "parse_duration() is in units.py already\n"}


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    gump_project.write({"app.py": "value = 1\n"})
    gump_project.workflow("small", WORKFLOW)
    return gump_project


def gump(project: GumpProject, *words: str) -> list[str]:
    return project.pytester.run(sys.executable, "-m", "pytest_gump", *words).outlines


def report(project: GumpProject) -> dict[str, Any]:
    data: dict[str, Any] = json.loads("\n".join(gump(project, "report", "--json")))
    return data


@pytest.mark.parametrize(
    "said",
    [
        {"says": "I am sorry, but I cannot help with that."},
        {"says": "Which of the two databases do you mean?"},
        {"says": "", "turns": 0, "cost_usd": None},
    ],
    ids=["refuses", "asks", "silent"],
)
def test_an_agent_that_changes_nothing_does_not_pass(project: GumpProject, said: Mapping[str, Any]) -> None:
    project.answer("impl", **said)
    result = project.run("small")
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    assert project.record().steps["impl"].outcome == "no_change"
    result.stdout.fnmatch_lines(["x impl *" if "x impl" in result.stdout.str() else "✗ impl *"])
    result.stdout.fnmatch_lines(["*impl: no_change: no file was changed, and no reason was given *"])
    result.stdout.no_fnmatch_line("*gump apply*")


def test_a_run_with_a_reason_passes_and_has_nothing_to_merge(project: GumpProject) -> None:
    project.answer("impl", out=REASON)
    result = project.run("small", "--junit-xml=junit.xml", "--gump-ci=gitlab")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["* impl *", "*impl: no change: parse_duration() is in units.py already", "nothing to merge*"]
    )
    result.stdout.no_fnmatch_line("*gump apply*")
    data = report(project)
    assert data["run"]["unchanged"] is True
    assert data["steps"][0]["attempts"][0]["no_change"] == "parse_duration() is in units.py already"
    assert "no change: parse_duration() is in units.py already" in data["steps"][0]["reservations"]
    printed = "\n".join(gump(project, "report"))
    assert "impl: no change: parse_duration() is in units.py already" in printed
    assert "nothing to merge" in printed
    assert (
        'name="gump.no_change" value="parse_duration() is in units.py already"'
        in (project.path / "junit.xml").read_text()
    )
    assert (
        "`impl` changed no file: `parse_duration() is in units.py already`"
        in (project.path / ".gump/ci/summary.md").read_text()
    )
    assert any("nothing to merge" in line for line in gump(project, "apply"))


def test_a_reason_is_data_and_cannot_control_the_output(project: GumpProject) -> None:
    project.answer("impl", out={"no_change.txt": "\x1b[2Jall fine\n::error::look\n" + "x" * 5000})
    result = project.run("small")
    result.assert_outcomes(passed=1)
    attempt = project.record().attempts[0].result
    assert attempt is not None
    assert attempt.no_change.startswith("all fine : :error::look xxx")
    assert len(attempt.no_change) <= 300
    assert not any(line.startswith("::error") for line in result.outlines)


def test_skipped_gates_are_not_shown_as_passed(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.workflow("small", WORKFLOW + "  - name: quality\n    gate: [compile, lint]\n")
    result = project.run("small", "--junit-xml=junit.xml")
    result.assert_outcomes(passed=2)
    quality = next(line for line in result.outlines if " quality " in line)
    assert "lint skipped" in quality
    assert "+ lint" not in quality
    result.stdout.fnmatch_lines(["*quality: gate lint skipped: no lint command found*"])
    assert 'name="gump.gates_skipped" value="lint: no lint command' in (project.path / "junit.xml").read_text()
    assert report(project)["steps"][1]["reservations"][0].startswith("gate lint skipped: ")


@pytest.mark.parametrize("allowed", [False, True])
def test_only_a_step_with_allow_no_change_may_change_nothing(project: GumpProject, allowed: bool) -> None:
    more = "    allow_no_change: true\n" if allowed else ""
    project.workflow("small", f"{WORKFLOW}  - name: finish\n    agent: claude-haiku\n    prompt: Look.\n{more}")
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.answer("finish")
    result = project.run("small")
    result.assert_outcomes(passed=1 + allowed, failed=1 - allowed)


def test_the_same_agent_does_not_get_a_third_attempt(project: GumpProject) -> None:
    project.workflow("small", WORKFLOW + '    on_failure: {retry: 4, strategy: ["same: 3", "escalate: claude-opus"]}\n')
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt)
    project.answer("impl", attempt=3, agent="claude-opus", writes={"new.py": "x = 1\n"})
    result = project.run("small")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["* 1 passed, 1 retried, 1 escalated in *"])
    assert "Change the files, or give the reason" in project.prompt("impl", 2)


def test_items_of_a_replan_need_no_change_unlike_the_step(project: GumpProject) -> None:
    project.workflow("small", WORKFLOW + '    on_failure: {retry: 2, strategy: [same, "replan: claude-opus"]}\n')
    project.answer("impl")
    project.plan("impl--replan::plan", "one", "two")
    for item in ("one", "two"):
        project.answer(f"impl--replan::item[{item}]")
    assert project.run("small").ret == 1
    assert [one.result.outcome for one in project.record().attempts if one.result] == [
        *("no_change", "passed", "passed", "passed", "no_change")
    ]


def test_items_that_are_already_done_pass_with_a_reason(project: GumpProject) -> None:
    project.workflow(
        "items",
        "name: items\nsteps:\n  - name: split\n    agent: claude-opus\n    output: plan\n    prompt: Split.\n"
        "  - name: build\n    foreach: split\n    parallel: true\n    steps:\n"
        "      - name: change\n        agent: claude-haiku\n        prompt: Do it.\n        gate: [compile]\n",
    )
    project.plan("split", "one", "two")
    project.answer("build::change[one]", writes={"one.py": "x = 1\n"})
    project.answer("build::change[two]", out=REASON)
    result = project.run("items")
    assert result.ret == 0
    assert project.record().unchanged is False
    result.stdout.fnmatch_lines(["*change?two?: no change: parse_duration() is in units.py already"])
    assert any("gump apply" in line for line in result.outlines)
