"""Sums over the attempts of a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.usage import NOTHING, Usage
from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord, add_up
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.workflow.path import StepPath

STEPS = ("plan", "build::impl[one]", "build::impl[two]", "build::impl--replan::part[one--sub]", "build::check[one]")
SCOPES = (StepPath(("build",)), StepPath(("build", "impl"), ("one",)), StepPath(("plan",)), StepPath(("none",)))


def attempt(number: int, *, step: str = "a", reused: bool = False) -> AttemptRecord:
    return AttemptRecord(number, step, 1, "diff", "claude", "first", 0.0, reused=reused)


def wire(cost_usd: float | None) -> dict[str, Any]:
    usage = {"cost_usd": cost_usd, "tokens": {"input": 3}, "provenance": "reported", "turns": 2, "tool_calls": 1}
    return {"usage": usage, "outcome": "passed", "timings": {"total_s": 1.5}}


@given(st.data())
def test_totals_are_the_sums_of_attempts_in_any_order_of_their_ends(data: st.DataObject) -> None:
    record = RunRecord()

    def check_totals() -> None:
        assert record.total == add_up(record.own)
        for scope in SCOPES:
            inside = [one for one in record.own if scope.contains(StepPath.parse(one.step))]
            assert record.total_in(scope) == add_up(inside)

    for number in range(1, data.draw(st.integers(1, 6)) + 1):
        step = data.draw(st.sampled_from(STEPS))
        record.attempts.append(attempt(number, step=step, reused=data.draw(st.booleans())))
        for ending in data.draw(
            st.lists(st.sampled_from(record.attempts), max_size=3)
        ):  # an attempt may end more than once
            record.end_attempt(ending.number, wire(data.draw(st.sampled_from([None, 0.25, 2.0]))), 0.5)
            check_totals()
        check_totals()


def test_ended_attempts_are_added_up_once() -> None:
    record = RunRecord(attempts=[attempt(number) for number in range(1, 101)])
    for one in record.attempts[:99]:
        record.end_attempt(one.number, wire(1.0), 0.0)
    scope = StepPath(("a",))
    assert record.total.cost_usd == record.total_in(scope).cost_usd == 99.0
    record.attempts[:99] = [attempt(0)] * 99  # no longer read
    for total in (record.total, record.total_in(scope)):
        assert (total.cost_usd, total.unknown) == (99.0, 1)


def test_sum_of_costs_has_no_error_of_binary_fractions() -> None:
    """Otherwise, a budget of $1 could be left after all of it was spent."""
    total = NOTHING
    for cost_usd in (0.7, 0.2, 0.1):
        total = total.plus(Usage(cost_usd=cost_usd), 1.0, unknown=False)
    assert total.cost_usd == 1.0


@pytest.mark.parametrize(("validating", "status"), [([1], "running"), ([], "passed")])
def test_a_resumed_run_forgets_that_a_validator_gave_no_verdict(validating: list[int], status: str) -> None:
    """Its validators run again; if the workflow has none any more, the attempt has passed."""
    one = attempt(1)
    record = RunRecord(attempts=[one], steps={"a": StepRecord("a", "diff", attempts=[one])})
    gates = [{"name": "test", "status": "passed"}]
    one.finish(to_wire(AttemptResult("a", 1, Outcome.PASSED, "", None, Timings(0.0, 0.0))) | {"gates": gates})
    one.verdict = "failed"
    answer = {"name": "validate: arch", "status": "error", "summary": "it crashed"}
    one.add_answers({"outcome": "gate_error", "reason": "no verdict", "gates": [answer]})
    assert one.result is not None
    assert (one.result.outcome, [gate.status for gate in one.result.gates]) == ("gate_error", ["passed", "error"])
    advance(record, {"event": "session_copied", "at": 1.0, "reused": [1], "validating": validating})
    assert (record.steps["a"].status, one.verdict) == (status, {"running": "judged"}.get(status, status))
    assert one.result is not None
    assert (one.result.outcome, [gate.status for gate in one.result.gates]) == ("passed", ["passed"])


def part(number: int, agent: str | None, *, entry: str = "first") -> AttemptRecord:
    return AttemptRecord(number, "a", number, "diff", agent, entry, 0.0)


def test_agent_of_a_step_is_that_of_its_last_attempt_also_if_the_gates_ran_later() -> None:
    first, own, gates = part(1, "claude"), part(2, "codex"), part(2, None, entry="gates")
    assert StepRecord("a", "diff", attempts=[first, own, gates]).agent == "codex"
    assert StepRecord("a", "diff", attempts=[own, part(3, None)]).agent is None
    assert StepRecord("a", "diff").agent is None
