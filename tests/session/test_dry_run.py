"""`--gump-dry-run` prints the plan and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

UNUSED = """\
name: unused
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile]
    on_failure: {retry: 1, strategy: ["escalate: claude-opus"]}
"""


def test_a_dry_run_prints_the_plan_and_runs_nothing(project: GumpProject) -> None:
    result = project.run("plan", "--gump-dry-run")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["plan on spec.md (project workflow)", "*decompose*", "*claude-opus*", "*compile*", "*claude-sonnet*"]
    )
    assert project.folders() == []
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def test_a_dry_run_needs_no_clean_checkout(project: GumpProject) -> None:
    project.write({"app.py": "value = 2\n"})
    assert project.run("plan", "--gump-dry-run", "-q").ret == pytest.ExitCode.OK


def test_a_dry_run_of_the_built_in_tdd_names_its_attempts(project: GumpProject) -> None:
    result = project.run("tdd", "--gump-dry-run")
    text = str(result.stdout)
    assert "claude-haiku" in text
    assert "restart" in text
    assert "5.00" in text


def test_a_dry_run_shows_the_notes_about_the_workflow_once(project: GumpProject) -> None:
    project.write({"other.md": "Another one.\n"})
    project.workflow("unused", UNUSED)
    result = project.run("unused", "other.md", "--gump-dry-run")
    text = str(result.stdout)
    assert text.count("'retry: 1' makes the first failure final: 'escalate: claude-opus' is never used") == 1
    assert text.count("hint: write 'retry: 2', or more") == 1
