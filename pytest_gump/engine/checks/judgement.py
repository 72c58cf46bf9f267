"""What an attempt comes to: an outcome, its reason, and the guard that stopped it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gump.order import Outcome
from pytest_gump.text import one_line

REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Outcome
    reason: str = ""
    """One line; empty when passed."""
    guard: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, reason: str, guard: str | None = None) -> Judgement:
        return cls(outcome, one_line(reason, REASON_CHARS), guard)


PASSED = Judgement(Outcome.PASSED)
