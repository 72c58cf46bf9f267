"""A complete run with the Claude adapter: a program named `claude` on PATH prints a recorded stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

STREAM = Path(__file__).parents[1] / "agents" / "recorded" / "claude" / "basic" / "stream.ndjson"


def claude(project: GumpProject, monkeypatch: pytest.MonkeyPatch, *, stream: Path, exit_code: int = 0) -> Path:
    """Put a `claude` on PATH that records its arguments and prompt, writes hello.py and prints the stream."""
    folder = project.path.parent / f"{project.path.name}-bin"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/arguments\ncat > {folder}/prompt\n'
        f"echo 'x = 1' > hello.py\ncat {stream}\nexit {exit_code}\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_claude_gets_the_prompt_on_stdin_and_its_cost_is_recorded(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = claude(project, monkeypatch, stream=STREAM)
    result = project.pytester.runpytest_inprocess("--gump-workflow=one", "spec.md")
    result.assert_outcomes(passed=1)
    usage = project.record().attempts[0].result.usage  # type: ignore[union-attr]
    assert (usage.cost_usd, usage.provenance, usage.turns) == (0.0149, "reported", 3)
    arguments = (folder / "arguments").read_text(encoding="utf-8")
    assert "Do it." not in arguments
    assert "stream-json" in arguments
    assert "Do it." in (folder / "prompt").read_text(encoding="utf-8")


def test_a_nonzero_exit_code_after_a_good_stream_is_an_agent_error(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    claude(project, monkeypatch, stream=STREAM, exit_code=1)
    result = project.pytester.runpytest_inprocess("--gump-workflow=one", "spec.md")
    result.assert_outcomes(failed=1)
    assert project.record().steps["impl"].outcome == "agent_error"


def test_a_missing_claude_is_one_error_before_the_run_starts(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    result = project.pytester.runpytest_inprocess("--gump-workflow=plan", "spec.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: cannot start the agent of decompose, build::tests, build::impl: claude*"])
    result.stderr.fnmatch_lines(["*hint: to use another agent: --gump-agent=claude-opus=AGENT *"])
    assert project.folders() == []
