"""Jobs that are refused, and what they leave behind."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psutil
import pytest
from pytest_gump.jobs.check import other_agents

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject


def test_a_refused_job_leaves_no_git_process(
    project: GumpProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git reads the checkout before the checks."""
    slow = tmp_path / "git"
    slow.write_text(f'#!/bin/sh\ncase " $* " in *" status "*) exec sleep 60;; esac\nexec {shutil.which("git")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = project.pytester.runpytest_inprocess("--gump-workflow=one", "spec.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*claude*not*"])
    assert [child.cmdline() for child in psutil.Process().children() if "sleep" in child.name()] == []


@pytest.mark.parametrize(
    ("overrides", "new"), [([], "AGENT"), (["a=b"], "AGENT"), (["codex"], "codex"), (["codex", "claude-opus"], "codex")]
)
def test_a_missing_agent_has_a_hint_with_the_options_that_replace_it(overrides: list[str], new: str) -> None:
    """`--gump-agent=codex` leaves the agents of escalations in the workflow."""
    options = f"--gump-agent=claude-sonnet={new} --gump-agent=claude-opus={new}"
    assert other_agents(["claude-sonnet", "claude-opus"], overrides) == f"to use another agent: {options}"
