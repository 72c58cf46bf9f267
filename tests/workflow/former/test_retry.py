"""Rules of a `retry:` list that no strategy can say."""

from __future__ import annotations

import pytest
from pytest_gump.errors import WorkflowError
from pytest_gump.workflow.convert import convert_workflow
from pytest_gump.workflow.find import Found
from pytest_gump.workflow.model import StickyRule

from tests.workflow.loading import NOWHERE, load, refusal

STICKY = """\
name: flow
steps:
  - name: impl
    type: code
    agent: claude-haiku
    prompt: "{spec}"
    gate: [compile, test, validate: validators/arch-review]
    retry:
      - {attempt: 2, prompt: "Fix: {error} {wish}"}
      - {not: gate.test, agent: claude-opus, session: new}
      - {not: gate.compile, worktree: reset}
      - {exit: 5}
"""


def test_rules_about_gates_are_kept_as_rules() -> None:
    workflow = load(STICKY.replace(", validate: validators/arch-review", "")).workflow
    failure = workflow.steps[0].on_failure
    assert failure is not None
    assert failure.flat is not None
    assert failure.flat.retry == 5
    assert failure.flat.rules == (
        StickyRule(attempt=2, prompt="Fix: {error} {wish}"),
        StickyRule(gate="test", agent="claude-opus", session="fresh"),
        StickyRule(gate="compile", worktree="reset"),
    )
    assert list(workflow.inputs) == ["wish"]


def test_rules_without_a_form_are_not_converted() -> None:
    text = STICKY.replace(", validate: validators/arch-review", "")
    found = Found(NOWHERE / "flow.yaml", "file", "flow", text)
    with pytest.raises(WorkflowError) as caught:
        convert_workflow(found, project=NOWHERE, load=lambda found: load(found.text).workflow)
    assert str(caught.value) == (
        "flow.yaml:10:9: these rules of 'retry' cannot be expressed in the current language\n"
        "  hint: the file runs as it is; to convert it, let only rules with 'attempt' change the attempts"
    )


def test_only_the_translation_can_write_rules() -> None:
    text = "name: flow\nsteps:\n  - {name: a, agent: claude-haiku, on_failure: {retry: 2, rules: [{attempt: 2}]}}\n"
    assert refusal(text).startswith("flow.yaml:3:59: unknown key 'rules'")


def test_the_agents_of_rules_are_checked() -> None:
    text = STICKY.replace(", validate: validators/arch-review", "").replace("claude-opus", "claude-opsu")
    assert refusal(text) == "flow.yaml:10:33: unknown agent 'claude-opsu'\n  hint: did you mean 'claude-opus'?"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{attempt: 9, agent: claude-opus}", "'attempt: 9' is never used: the last attempt is 3"),
        ("{attempt: 2}", "this rule of 'retry' changes nothing"),
    ],
)
def test_a_rule_without_effect_has_a_note(rule: str, message: str) -> None:
    loaded = load(
        f"name: flow\nsteps:\n  - {{name: a, type: code, agent: claude-haiku, retry: [{rule}, {{exit: 3}}]}}\n"
    )
    assert [note.message for note in loaded.notes] == [message]
