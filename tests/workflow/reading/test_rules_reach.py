"""Notes about entries of `on_failure` that load but are probably a mistake."""

from __future__ import annotations

import pytest

from tests.workflow.loading import load


def notes(on_failure: str, prompt: str = "Do it.") -> list[str]:
    text = f"""\
name: flow
steps:
  - {{name: plan, agent: claude-opus, output: plan}}
  - name: build
    foreach: plan
    steps:
      - {{name: tests, agent: claude-haiku}}
      - {{name: impl, agent: claude-haiku, prompt: "{prompt}", gate: [test], on_failure: {on_failure}}}
"""
    return [str(note) for note in load(text).notes]


@pytest.mark.parametrize(
    "on_failure",
    [
        "{retry: 1}",
        "{retry: 2, strategy: ['escalate: claude-opus']}",
        "{retry: 2, strategy: [same, same]}",
        "{retry: 3, strategy: ['same: 5', 'escalate: claude-opus']}",
        "{retry: 2, restart_from: tests}",
        "{gate_fail: {retry: 2}, guard_fail: {retry: 2, strategy: ['escalate: claude-opus']}}",
        "{gate_fail: {strategy: ['escalate: claude-opus', 'escalate: codex']}}",
    ],
)
def test_a_policy_with_only_reachable_entries_has_no_note(on_failure: str) -> None:
    assert notes(on_failure) == []


def test_an_unreachable_entry_is_noted_with_the_meaning_in_the_original() -> None:
    assert notes("{guard_fail: {retry: 1, strategy: ['escalate: claude-opus']}}") == [
        (
            "flow.yaml:8:101: 'retry: 1' makes the first failure final, where the original Gump reads 2 attempts: "
            "'escalate: claude-opus' is never used\n  hint: write 'retry: 2', or more"
        )
    ]


def test_an_unreachable_restart_is_noted() -> None:
    (note,) = notes("{retry: 2, strategy: [same, same], restart_from: tests}")
    assert "'retry: 2' makes the second failure final: 'restart_from: tests' is never used" in note


def test_a_file_with_original_names_has_the_counts_of_both() -> None:
    first, second = notes("{gate_fail: {retry: 3, strategy: [same, 'escalate: codex']}}", prompt="{task.name}")
    assert "'retry: 3' of a branch means 3 attempts here, and 4 in the original Gump" in first
    assert "hint: write 'retry: 4' to keep the number of attempts" in first
    assert "the first entry of 'strategy' makes attempt 1 here, and attempt 2 in the original Gump" in second


def test_original_names_alone_cause_no_note() -> None:
    assert notes("{retry: 3, strategy: ['escalate: codex']}", prompt="{task.name} {steps.tests.diff}") == []
