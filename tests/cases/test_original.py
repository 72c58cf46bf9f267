"""Budgets, retries, keys and settings for users of the original Gump."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

STEP = """\
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: ["touched: *.py"]
"""


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        (f"max_budget: 0.10\nsteps:\n{STEP}    on_failure: {{retry: 5}}\n", "run"),
        (f"steps:\n{STEP}    max_budget: 0.10\n    on_failure: {{retry: 5}}\n", "step"),
    ],
    ids=["run", "step"],
)
def test_a_spent_budget_is_reported_with_the_sum_of_both_attempts(
    gump_project: GumpProject, text: str, whose: str
) -> None:
    gump_project.workflow("small", f"name: small\n{text}")
    for attempt in (1, 2):
        gump_project.answer("impl", attempt=attempt, writes={f"notes{attempt}.txt": "hm\n"}, cost_usd=0.06)
    result = gump_project.run("small")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    last = gump_project.record().attempts[-1]
    assert last.result is not None
    assert (last.verdict, last.result.outcome) == ("failed", "budget")
    assert last.result.reason == f"the {whose}'s max_budget: $0.12 spent of $0.10"
    result.stdout.fnmatch_lines([f"*the {whose}'s max_budget: $0.12 spent of $0.10*"])


@pytest.mark.parametrize("on_failure", ["{retry: 2}", "{gate_fail: {retry: 2}}"], ids=["flat", "branch"])
def test_retry_is_the_number_of_attempts_in_both_forms(gump_project: GumpProject, on_failure: str) -> None:
    gump_project.workflow("twice", f"name: twice\nsteps:\n{STEP}    on_failure: {on_failure}\n")
    for attempt in (1, 2, 3):
        gump_project.answer("impl", attempt=attempt, writes={f"notes{attempt}.txt": "hm\n"})
    dry = gump_project.run("twice", "--gump-dry-run")
    assert gump_project.run("twice").ret == pytest.ExitCode.TESTS_FAILED
    assert len(gump_project.record().attempts) == 2
    dry.stdout.fnmatch_lines(["*1-2 claude-haiku; the 2nd failure is final"])


def test_unknown_table_is_refused_and_key_without_effect_is_named(gump_project: GumpProject) -> None:
    gump_project.workflow("once", f"name: once\nsteps:\n{STEP}")
    gump_project.answer("impl", writes={"a.py": "a = 1\n"})
    gump_project.write({"gump.toml": "[validaton]\ntest_cmd = 'make'\n"})
    gump_project.commit()
    refused = gump_project.run("once")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(
        ["ERROR: gump.toml:1:1: unknown table 'validaton'", "  hint: did you mean 'validation'?"]
    )
    assert gump_project.folders() == []
    gump_project.write({"gump.toml": "default_agent = 'claude-haiku'\n"})
    gump_project.commit()
    result = gump_project.run("once")
    assert result.ret == pytest.ExitCode.OK
    assert str(result.stdout).count("note: gump.toml:1:1: 'default_agent' has no effect") == 1


def test_settings_are_read_from_the_folder_in_which_a_run_starts(
    gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    gump_project.workflow("check", "name: check\nsteps:\n  - {name: check, gate: [lint]}\n")
    gump_project.write(
        {
            "gump.toml": "[validation]\nlint_cmd = 'false'\n",
            "sub/gump.toml": "[validation]\nlint_cmd = 'echo from the sub-folder'\n",
            "sub/spec.md": "Do it.\n",
        }
    )
    gump_project.commit()
    monkeypatch.chdir(gump_project.pytester.path / "sub")
    result = gump_project.pytester.runpytest_inprocess("--gump-workflow=check", "spec.md")
    assert result.ret == pytest.ExitCode.OK
