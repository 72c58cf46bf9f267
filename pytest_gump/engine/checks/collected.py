"""The number of tests that gates collect, compared with the number before the step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.gates.base import GateResult


_COLLECTED: Final = ("collected",)
_SET_ASIDE: Final = ("skipped", "xfailed")


def known_tests(record: RunRecord, base: str, tree_of: Callable[[str], str]) -> int | None:
    """Number of tests in the step's base, counted by the step that made it, or else by the preflight.

    None: no gate has given a record per test.
    """
    return _known(record, base, tree_of, _COLLECTED)


def known_skipped(record: RunRecord, base: str, tree_of: Callable[[str], str]) -> int | None:
    """Return how many of them are skipped or expected to fail."""
    return _known(record, base, tree_of, _SET_ASIDE)


def _known(record: RunRecord, base: str, tree_of: Callable[[str], str], names: Sequence[str]) -> int | None:
    preflight = (record.preflight or {}).get("gates", ())
    first = _most((gate.get("tests") for gate in preflight), names)
    counted = [
        (attempt.result.tree, count)
        for attempt in record.attempts
        if attempt.verdict == "passed" and attempt.result and (count := _total(attempt.result.gates, names)) is not None
    ]
    if not counted:
        return first
    tree = tree_of(base)
    return next((count for left, count in reversed(counted) if left == tree), first)


def collected(gates: Iterable[GateResult]) -> int | None:
    return _total(gates, _COLLECTED)


def _total(gates: Iterable[GateResult], names: Sequence[str]) -> int | None:
    return _most((gate.tests for gate in gates), names)


def _most(counts: Iterable[Mapping[str, Any] | None], names: Sequence[str]) -> int | None:
    return max((sum(int(count.get(name, 0)) for name in names) for count in counts if count), default=None)


def fewer_tests(gates: Sequence[GateResult], known: int | None) -> str | None:
    """Return a note if fewer tests are collected than before the step; None if not, or if unknown."""
    now = collected(gates)
    if known is None or now is None or now >= known:
        return None
    return f"{plural(now, 'test')} collected, {known} before the step"


def more_skipped(gates: Sequence[GateResult], known: int | None) -> str | None:
    """Return a note if more tests are skipped or expected to fail than before the step, or if that is unknown."""
    now = _total(gates, _SET_ASIDE)
    if not now or (known is not None and now <= known):
        return None
    before = "unknown" if known is None else known
    return f"{plural(now, 'test')} skipped or expected to fail (before the step: {before})"


def count_notes(gates: Sequence[GateResult], known: int | None, known_skipped: int | None) -> list[str]:
    """Return a note if fewer tests are collected than before the step, and one if more of them are skipped."""
    return [*filter(None, [fewer_tests(gates, known), more_skipped(gates, known_skipped)])]


def hold_untouched_tests(gates: Sequence[GateResult], known: int | None) -> tuple[GateResult, ...]:
    """Fail `untouched: "@tests"` if fewer tests are collected, even if no test file has changed."""
    fewer = fewer_tests(gates, known)
    if fewer is None:
        return tuple(gates)
    return tuple(
        replace(gate, status="failed", summary=fewer, output=fewer)
        if gate.status == "passed" and gate.name.replace('"', "") == "untouched: @tests"
        else gate
        for gate in gates
    )
