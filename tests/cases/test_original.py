"""What users of the original Gump meet: budgets, retries, keys and settings."""

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
def test_a_budget_that_two_attempts_spend_is_told_with_its_own_sum(
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
def test_retry_means_as_many_attempts_in_both_forms(gump_project: GumpProject, on_failure: str) -> None:
    gump_project.workflow("twice", f"name: twice\nsteps:\n{STEP}    on_failure: {on_failure}\n")
    for attempt in (1, 2, 3):
        gump_project.answer("impl", attempt=attempt, writes={f"notes{attempt}.txt": "hm\n"})
    dry = gump_project.run("twice", "--gump-dry-run")
    assert gump_project.run("twice").ret == pytest.ExitCode.TESTS_FAILED
    assert len(gump_project.record().attempts) == 2
    dry.stdout.fnmatch_lines(["*1-2 claude-haiku; the 2nd failure is final"])
