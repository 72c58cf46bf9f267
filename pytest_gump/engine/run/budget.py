"""How much an attempt may still spend: the smallest of what its guard, its step, its groups and the run leave over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_gump.engine.record.records import add_up
from pytest_gump.units import format_usd
from pytest_gump.workflow.path import REPLAN, StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.record.records import RunRecord, Total
    from pytest_gump.workflow.model import Step, Workflow

Scope = Literal["guard", "step", "run"]


@dataclass(frozen=True, slots=True)
class Allowance:
    """USD for the next attempt, and whose money runs out first; None = no limit."""

    usd: float | None
    scope: Scope
    spent_usd: float = 0.0
    """US dollars that earlier attempts spent of the same budget."""


def allowance(workflow: Workflow, step: Step, path: StepPath, record: RunRecord) -> Allowance:
    """Say what the next attempt of a step may cost. Zero or less: it must not start.

    The budget of a step counts all its attempts and the parts of its replans, that of a group everything inside.
    """
    limits: list[tuple[float, float, Scope]] = []
    if workflow.max_budget is not None:
        limits.append((workflow.max_budget, record.total.bound_usd, "run"))
    limits += [(budget, spent(record, scope), "step") for scope, budget in budgets(workflow, path)]
    if step.guard.max_budget is not None:
        limits.append((step.guard.max_budget, 0.0, "guard"))
    if not limits:
        return Allowance(None, "guard")
    budget, spent_usd, scope = min(limits, key=lambda limit: limit[0] - limit[1])
    return Allowance(budget - spent_usd, scope, spent_usd)


@dataclass(frozen=True, slots=True)
class TimeAllowance:
    """Seconds for the next attempt, and whose limit that is; None means no limit."""

    left_s: float | None
    scope: Literal["guard", "run"] = "guard"
    spent_s: float = 0.0


def spent_out(workflow: Workflow, record: RunRecord, total: Total | None = None) -> str | None:
    """Why the run must end for lack of money, tokens or time, in one line; None while it may go on.

    `total`: what was used, if that is more than the record knows of.
    """
    total = total or record.total
    if workflow.max_budget is not None and total.bound_usd >= workflow.max_budget:
        presumed = f", and up to {format_usd(total.presumed_usd)} of unknown cost" if total.presumed_usd else ""
        return f"max_budget of {format_usd(workflow.max_budget)} is spent: {format_usd(total.cost_usd)}{presumed}"
    if workflow.max_tokens is not None and total.tokens.total >= workflow.max_tokens:
        return f"max_tokens of {workflow.max_tokens} is used up: {total.tokens.total}"
    if workflow.max_time is not None and record.duration_s >= workflow.max_time:
        return f"max_time of {workflow.max_time:.0f}s is over"
    return None


def refusal(workflow: Workflow, record: RunRecord, allowed: Allowance) -> str | None:
    """Return why no agent may start: a limit of the run is reached, or `allowed` is nothing; None if it may."""
    reason = spent_out(workflow, record)
    if reason is None and allowed.usd is not None and allowed.usd <= 0:
        limit = format_usd(allowed.usd + allowed.spent_usd)
        return f"the {allowed.scope}'s max_budget is spent: {format_usd(allowed.spent_usd)} of {limit}"
    return reason


def budgets(workflow: Workflow, path: StepPath) -> Iterator[tuple[StepPath, float]]:
    """The step and its groups that have a budget, each with the path that its attempts share."""
    steps, items = workflow.steps, 0
    for depth, name in enumerate(path.names, 1):
        step = next((step for step in steps if step.name == name.removesuffix(REPLAN)), None)
        if step is None:
            return
        if step.max_budget is not None:
            yield StepPath((*path.names[: depth - 1], step.name), path.items[:items]), step.max_budget
        items += step.foreach is not None
        steps = step.steps


def spent(record: RunRecord, scope: StepPath) -> float:
    """What the attempts at a place have cost, in USD, as budgets count it."""
    inside = [step for path, step in record.steps.items() if scope.contains(StepPath.parse(path))]
    return add_up(attempt for step in inside for attempt in step.own).bound_usd
