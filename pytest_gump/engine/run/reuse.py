"""What a resumed run reuses of its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.path import StepPath


@dataclass(slots=True)
class Reuse:
    """Empty for a new run."""

    numbers: frozenset[int] = frozenset()
    """Of the attempts whose results are reused."""
    reruns: Mapping[StepPath, str] | None = None
    """Why steps run again; None for a run that was not resumed."""
    recheck: str | None = None
    """Why the last reused step runs again after its gates were checked."""
    results: dict[tuple[str, int], AttemptResult] = field(default_factory=dict)
    """Results that are stored and wait for a decision, by step and attempt."""

    def result_of(self, order: Order) -> AttemptResult | None:
        return self.results.get((order.step, order.attempt))
