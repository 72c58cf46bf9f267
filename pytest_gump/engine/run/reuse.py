"""Reused results of a resumed run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.path import StepPath


@dataclass(slots=True)
class Reuse:
    """Reused results and the reasons for re-runs. Empty for a new run."""

    numbers: frozenset[int] = frozenset()
    """Numbers of the attempts whose results are reused."""
    reruns: Mapping[StepPath, str] | None = None
    """Steps that run again, each with the reason; None for a run that was not resumed."""
    recheck: str | None = None
    """Why the last reused step runs again after its gates were checked."""
    results: dict[tuple[str, int], AttemptResult] = field(default_factory=dict)
    """Stored results without a decision, by step and attempt."""

    def result_of(self, order: Order) -> AttemptResult | None:
        return self.results.get((order.step, order.attempt))
