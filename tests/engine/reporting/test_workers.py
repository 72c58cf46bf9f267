"""Names for who did the work of an attempt or a step."""

from __future__ import annotations

import pytest
from pytest_gump.engine.record.records import AttemptRecord, StepRecord
from pytest_gump.engine.reporting.workers import agent_of, worker, worker_of


def attempt(number: int, agent: str | None, *, mode: str = "diff", entry: str = "first") -> AttemptRecord:
    return AttemptRecord(number, "a", number, mode, agent, entry, 0.0)


@pytest.mark.parametrize(
    ("agent", "mode", "name"),
    [
        ("claude", "diff", "claude"),
        (None, "diff", "gate"),  # the gates after an approval
        (None, "gate", "gate"),
        (None, "merge", "merge"),
        (None, "approve", "approval"),
    ],
)
def test_attempt_without_an_agent_is_named_by_what_it_does(agent: str | None, mode: str, name: str) -> None:
    assert worker(agent, mode) == name


def test_agent_of_a_step_is_that_of_its_last_attempt_also_if_the_gates_ran_later() -> None:
    first, own, gates = attempt(1, "claude"), attempt(2, "codex"), attempt(2, None, entry="gates")
    assert worker_of(StepRecord("a", "diff", attempts=[first, own, gates])) == "codex"
    assert agent_of(StepRecord("a", "diff", attempts=[own, attempt(3, None)])) is None
    assert agent_of(StepRecord("a", "diff")) is None
    assert worker_of(StepRecord("a", "approve", attempts=[attempt(1, None, mode="approve")])) == "approval"
