"""Agents other than Claude, and names that the user defines, with programs on PATH that print a recorded stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import ONE

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

STREAMS = Path(__file__).parents[1] / "agents" / "recorded"


def program(project: GumpProject, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Put a CLI on PATH that saves its arguments and environment, writes hello.py and prints its plain stream."""
    folder = project.path.parent / f"{project.path.name}-bin"
    folder.mkdir()
    stream = STREAMS / name / "basic" / "stream.ndjson"
    path = folder / name
    path.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/arguments\nenv > {folder}/environment\ncat > /dev/null\n'
        f"echo 'x = 1' > hello.py\ncat {stream}\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def run(project: GumpProject, agent: str, *options: str, text: str = ONE) -> pytest.RunResult:
    project.workflow("mine", text.replace("claude-haiku", agent).replace("name: one", "name: mine"))
    return project.pytester.runpytest_inprocess("--gump-workflow=mine", *options, "spec.md")


@pytest.mark.parametrize(
    ("name", "agent", "cost_usd"), [("codex", "codex-gpt55", 0.0249), ("gemini", "gemini-25-pro", 0.0068)]
)
def test_the_cost_is_estimated_if_the_cli_reports_none(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch, name: str, agent: str, cost_usd: float
) -> None:
    program(project, monkeypatch, name)
    run(project, agent).assert_outcomes(passed=1)
    usage = project.record().attempts[0].result.usage  # type: ignore[union-attr]
    assert usage.cost_usd == pytest.approx(cost_usd)
    assert (usage.provenance, usage.turns, usage.tool_calls) == ("estimated", 3, 2)


def test_a_configured_name_sets_model_arguments_and_environment(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = program(project, monkeypatch, "codex")
    monkeypatch.setenv("MY_KEY", "from outside")
    ini = "[pytest]\ngump_agents =\n    fast = codex:gpt-5.4-mini -p fast env:CODEX_HOME=/nowhere env:MY_KEY\n"
    project.write({"pytest.ini": ini})
    run(project, "fast").assert_outcomes(passed=1)
    words = (folder / "arguments").read_text(encoding="utf-8").splitlines()
    assert words[words.index("-m") + 1] == "gpt-5.4-mini"
    assert words[-3:] == ["-p", "fast", "-"]
    environment = (folder / "environment").read_text(encoding="utf-8").splitlines()
    assert {"CODEX_HOME=/nowhere", "MY_KEY=from outside"} <= set(environment)
    attempt = project.record().attempts[0]
    assert attempt.agent == "fast"


def test_a_project_can_redefine_a_built_in_name(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = program(project, monkeypatch, "codex")
    project.write({"pytest.ini": "[pytest]\ngump_agents =\n    claude-haiku = codex-gpt54\n"})
    run(project, "claude-haiku").assert_outcomes(passed=1)
    assert "gpt-5.4" in (folder / "arguments").read_text(encoding="utf-8")


def test_a_hook_overrides_the_ini_file(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = program(project, monkeypatch, "codex")
    conftest = "def pytest_gump_agents():\n    return {'fast': 'codex-gpt55'}\n"
    project.write({"pytest.ini": "[pytest]\ngump_agents = fast = codex-gpt54\n", "conftest.py": conftest})
    run(project, "fast").assert_outcomes(passed=1)
    assert "gpt-5.5" in (folder / "arguments").read_text(encoding="utf-8")


def test_a_configured_name_of_an_unknown_agent_is_refused_at_the_start(project: GumpProject) -> None:
    project.write({"pytest.ini": "[pytest]\ngump_agents = fast = claude-hiaku\n"})
    result = run(project, "claude-haiku")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: gump_agents: unknown agent 'claude-hiaku'", "  hint: did you mean 'claude-h*"])


def test_a_model_without_a_price_is_refused_under_a_budget(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(project, monkeypatch, "codex")
    result = run(project, "codex", text=ONE.replace("steps:", "max_budget: 1\nsteps:"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: max_budget cannot be enforced: the cost of codex is unknown",
            "  codex: its CLI chooses the model: name one, or set a price for 'codex' in gump_prices",
        ]
    )
    project.write({"pytest.ini": "[pytest]\ngump_prices = codex = 1/10/0.1\n"})
    project.commit()
    run(project, "codex", text=ONE.replace("steps:", "max_budget: 1\nsteps:")).assert_outcomes(passed=1)
    usage = project.record().attempts[0].result.usage  # type: ignore[union-attr]
    assert usage.provenance == "estimated"
    assert usage.cost_usd == 0.0056
