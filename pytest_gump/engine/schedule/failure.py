"""From an attempt's result to the failure that policies and hooks see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.decision import Failure
from pytest_gump.engine.schedule.records import Done
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.decision import Source
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult


def failure_of(result: AttemptResult) -> Failure:
    """Describe an attempt that did not pass."""
    gates = tuple(gate.name for gate in result.gates if gate.status in {"failed", "error"})
    return Failure(
        attempt=result.attempt,
        outcome=result.outcome,
        source=_source(result.outcome),
        reason=result.reason,
        agent=result.agent,
        gate=gates[0].partition(":")[0] if gates else None,
        failing=(str(result.outcome),) if result.outcome is Outcome.NO_CHANGE else gates,
        guard=result.guard,
        tree=result.tree,
        final=result.final,
    )


def _source(outcome: Outcome) -> Source:
    if outcome is Outcome.GUARD:
        return "guard_fail"
    return "review_fail" if outcome is Outcome.REVIEW_FAILED else "gate_fail"


def done_of(ready: Ready, result: AttemptResult, commit: str | None) -> Done:
    """Convert a result into the input of the schedule."""
    return Done(
        path=ready.path,
        attempt=ready.attempt,
        outcome=result.outcome,
        agent=result.agent,
        commit=commit,
        tree=result.tree,
        plan=result.plan,
        has_work=ready.entry == "recheck" or any(gate.status == "error" for gate in result.gates),
        failure=None if result.passed else failure_of(result),
    )
