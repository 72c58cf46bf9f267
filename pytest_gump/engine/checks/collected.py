"""The number of tests that gates collect, compared with the number before the step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_gump.engine.record.records import AttemptRecord, RunRecord
    from pytest_gump.gates.base import GateResult


_COLLECTED: Final = ("collected",)
_SET_ASIDE: Final = ("skipped", "xfailed")


class KnownTests:
    """Test counts of a tree: from the gates of the step that produced it, or else from the preflight.

    Each attempt is read once, so that the last step of a long run takes no longer than the first.
    """

    def __init__(self, record: RunRecord, tree_of: Callable[[str], str]) -> None:
        self._record = record
        self._tree_of = tree_of
        self._by_tree: dict[str | None, tuple[GateResult, ...]] = {}
        self._seen = 0
        self._undecided: list[AttemptRecord] = []

    def collected(self, commit: str) -> int | None:
        """Return the number of tests; None if no gate recorded its tests."""
        return self._known(commit, _COLLECTED)

    def set_aside(self, commit: str) -> int | None:
        """Return how many of the tests are skipped or expected to fail; None if unknown."""
        return self._known(commit, _SET_ASIDE)

    def _known(self, commit: str, names: Sequence[str]) -> int | None:
        self._look()
        gates = self._by_tree.get(self._tree_of(commit)) if self._by_tree else None
        if gates is not None:
            return _total(gates, names)
        preflight = (self._record.preflight or {}).get("gates", ())
        return _most((gate.get("tests") for gate in preflight), names)

    def _look(self) -> None:
        fresh = [*self._undecided, *self._record.attempts[self._seen :]]
        self._seen = len(self._record.attempts)
        self._undecided = [attempt for attempt in fresh if attempt.verdict in {"", "judged"}]
        for attempt in fresh:
            if attempt.verdict == "passed" and attempt.result and any(gate.tests for gate in attempt.result.gates):
                self._by_tree[attempt.result.tree] = attempt.result.gates


def collected(gates: Iterable[GateResult]) -> int | None:
    return _total(gates, _COLLECTED)


def _total(gates: Iterable[GateResult], names: Sequence[str]) -> int | None:
    return _most((gate.tests for gate in gates), names)


def _most(counts: Iterable[Mapping[str, Any] | None], names: Sequence[str]) -> int | None:
    return max((sum(int(count.get(name, 0)) for name in names) for count in counts if count), default=None)


def fewer_tests(gates: Sequence[GateResult], known: int | None) -> str | None:
    """Return a note if fewer tests are collected than before the step; otherwise, or if that is unknown, None."""
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
