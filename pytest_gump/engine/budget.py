"""How much a step may still spend: the smallest of what its guard, its own budget and the run's leave over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.workflow.model import Step, Workflow

Scope = Literal["guard", "step", "run"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """USD for the next attempt, and whose money runs out first; None = no limit."""

    usd: float | None
    scope: Scope


def allowance(workflow: Workflow, step: Step, path: str, record: RunRecord) -> Allowance:
    """Say what the next attempt of a step may cost. Zero or less: it must not start."""
    limits: list[tuple[float, Scope]] = []
    if workflow.max_budget is not None:
        limits.append((workflow.max_budget - record.total.cost_usd, "run"))
    if step.max_budget is not None:
        spent = record.steps[path].total.cost_usd if path in record.steps else 0.0
        limits.append((step.max_budget - spent, "step"))
    if step.guard.max_budget is not None:
        limits.append((step.guard.max_budget, "guard"))
    if not limits:
        return Allowance(None, "guard")
    usd, scope = min(limits, key=lambda limit: limit[0])
    return Allowance(usd, scope)


def spent_out(workflow: Workflow, record: RunRecord) -> str | None:
    """Why the run must end for lack of money, tokens or time, in one line; None while it may go on."""
    total = record.total
    if workflow.max_budget is not None and total.cost_usd >= workflow.max_budget:
        return f"max_budget of ${workflow.max_budget:.2f} is spent: ${total.cost_usd:.4f}"
    if workflow.max_tokens is not None and total.tokens.total >= workflow.max_tokens:
        return f"max_tokens of {workflow.max_tokens} is used up: {total.tokens.total}"
    if workflow.max_time is not None and record.last_at - record.started >= workflow.max_time:
        return f"max_time of {workflow.max_time:.0f}s is over"
    return None
