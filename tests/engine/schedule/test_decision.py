"""Decisions in the ledger."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.decision import Decision, Replan, Restart, Retry, Stop, from_fields, to_fields
from pytest_gump.workflow.path import StepPath

TEXTS = st.none() | st.text(max_size=4)
SESSIONS = st.sampled_from([None, "fresh", "resume"])
WORKTREES = st.sampled_from(["keep", "reset"])
DECISIONS = st.one_of(
    st.builds(Retry, TEXTS, SESSIONS, WORKTREES, TEXTS),
    st.builds(Replan, st.text(max_size=4), SESSIONS, WORKTREES, TEXTS),
    st.builds(Restart, st.text(max_size=4)),
    st.builds(Stop, st.text(max_size=4), TEXTS),
)


@given(DECISIONS)
def test_decision_is_read_back_from_the_ledger(decision: Decision) -> None:
    assert from_fields(json.loads(json.dumps(to_fields("build::impl[one]", decision)))) == decision


def test_fields_have_scope_and_kind() -> None:
    scope = StepPath(("build", "impl"), ("one",))
    assert to_fields(scope, Restart("tests")) == {"scope": "build::impl[one]", "kind": "restart", "step": "tests"}
    retry = {"kind": "retry", "agent": None, "session": None, "worktree": "reset", "prompt": None}
    assert to_fields(scope, Retry(worktree="reset")) == {"scope": "build::impl[one]", **retry}


@pytest.mark.parametrize("fields", [{}, {"kind": "Retry"}, {"kind": "restart"}, {"kind": "stop", "step": "a"}])
def test_invalid_fields_are_rejected(fields: dict[str, str]) -> None:
    with pytest.raises((KeyError, TypeError)):
        from_fields(fields)
