"""How many tests are collected, compared with before."""

from __future__ import annotations

from pytest_gump.engine.checks.collected import collected, count_notes, fewer_tests, hold_untouched_tests
from pytest_gump.gates.base import GateResult


def gates(count: int | None, *others: GateResult) -> list[GateResult]:
    return [GateResult("test", "passed", tests=None if count is None else {"collected": count}), *others]


def test_fewer_tests_are_said() -> None:
    assert collected(gates(3)) == 3
    assert fewer_tests(gates(1), 2) == "1 test collected, 2 before the step"


def test_nothing_is_said_of_as_many_or_unknown() -> None:
    assert [fewer_tests(gates(now), known) for now, known in [(2, 2), (3, 2), (None, 2), (1, None)]] == [None] * 4


def test_untouched_tests_fail_with_fewer_and_nothing_else_does() -> None:
    untouched, other = GateResult("untouched: @tests", "passed"), GateResult("untouched: docs/", "passed")
    held = hold_untouched_tests(gates(1, untouched, other), 2)
    assert [gate.status for gate in held] == ["passed", "failed", "passed"]
    assert [gate.status for gate in hold_untouched_tests(gates(2, untouched), 2)] == ["passed", "passed"]


def test_more_skipped_tests_are_named() -> None:
    result = [GateResult("test", "passed", tests={"collected": 3, "passed": 1, "skipped": 1, "xfailed": 1})]
    assert count_notes(result, 3, 2) == []
    assert count_notes(result, 3, 0) == ["2 tests skipped or expected to fail (before the step: 0)"]
    assert count_notes(result, None, None) == ["2 tests skipped or expected to fail (before the step: unknown)"]
    assert count_notes(gates(3), 3, None) == []
