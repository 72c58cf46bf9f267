"""Comparison of the number of collected tests with the number before the step."""

from __future__ import annotations

from pytest_gump.engine.checks.collected import (
    KnownTests,
    collected,
    count_notes,
    fewer_tests,
    hold_untouched_tests,
)
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.gates.base import GateResult
from pytest_gump.order import AttemptResult, Outcome, Timings


def gates(count: int | None, *others: GateResult) -> list[GateResult]:
    return [GateResult("test", "passed", tests=None if count is None else {"collected": count}), *others]


def test_fewer_tests_are_reported() -> None:
    assert collected(gates(3)) == 3
    assert fewer_tests(gates(1), 2) == "1 test collected, 2 before the step"


def test_equal_more_or_unknown_numbers_are_not_reported() -> None:
    assert [fewer_tests(gates(now), known) for now, known in [(2, 2), (3, 2), (None, 2), (1, None)]] == [None] * 4


def test_fewer_tests_fail_only_the_gate_untouched_of_tests() -> None:
    untouched, other = GateResult("untouched: @tests", "passed"), GateResult("untouched: docs/", "passed")
    held = hold_untouched_tests(gates(1, untouched, other), 2)
    assert [gate.status for gate in held] == ["passed", "failed", "passed"]
    assert [gate.status for gate in hold_untouched_tests(gates(2, untouched), 2)] == ["passed", "passed"]


def test_more_skipped_tests_are_a_note() -> None:
    result = [GateResult("test", "passed", tests={"collected": 3, "passed": 1, "skipped": 1, "xfailed": 1})]
    assert count_notes(result, 3, 2) == []
    assert count_notes(result, 3, 0) == ["2 tests skipped or expected to fail (before the step: 0)"]
    assert count_notes(result, None, None) == ["2 tests skipped or expected to fail (before the step: unknown)"]
    assert count_notes(gates(3), 3, None) == []


def ended(number: int, tree: str, count: int | None, *, verdict: str = "passed") -> AttemptRecord:
    record = AttemptRecord(number, "s", number, "diff", "claude", "first", 0.0, verdict=verdict)
    timings = Timings(0.0, 0.0)
    record.set_result(
        AttemptResult("s", number, Outcome.PASSED, "", None, timings, tree=tree, gates=tuple(gates(count)))
    )
    return record


def test_number_before_is_that_of_the_step_that_made_the_tree_or_of_the_preflight() -> None:
    record = RunRecord(preflight={"gates": [{"tests": {"collected": 1, "skipped": 1}}, {"tests": None}]})
    known = KnownTests(record, {"c1": "t1", "c2": "t2"}.__getitem__)
    assert (known.collected("c1"), known.set_aside("c1")) == (1, 1)
    record.attempts += [ended(1, "t1", 4), ended(2, "t1", None), ended(3, "t1", 9, verdict="retried")]
    assert (known.collected("c1"), known.set_aside("c1")) == (4, 0)
    assert known.collected("c2") == 1
    record.attempts += [ended(4, "t2", 5, verdict=""), ended(5, "t1", 6)]
    assert (known.collected("c1"), known.collected("c2")) == (6, 1)
    record.attempts[3].verdict = "passed"
    assert known.collected("c2") == 5


def test_tree_is_not_looked_up_before_a_gate_has_counted_tests() -> None:
    trees: dict[str, str] = {}
    assert KnownTests(RunRecord(attempts=[ended(1, "t1", None)]), trees.__getitem__).collected("c1") is None
