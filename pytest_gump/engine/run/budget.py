"""Limits of an attempt: the smallest remainder of its guard, its step, its groups and the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.engine.checks.guard import whose
from pytest_gump.order import Limits, Outcome
from pytest_gump.units import format_duration, format_usd
from pytest_gump.workflow.path import StepPath, declared
from pytest_gump.workflow.refs import calls_around, child_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.usage import Total
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.order import AttemptResult, Order, Scope
    from pytest_gump.workflow.model import Step, Workflow


class SharedLimits(NamedTuple):
    """The limits that all attempts of a step, a group or a call share."""

    scope: StepPath
    whose: Scope
    max_budget: float | None = None
    max_tokens: int | None = None
    max_time: float | None = None

    def reached(self, total: Total) -> str | None:
        """Return which limit the attempts have reached; None if there is none."""
        return _reached(self, total, total.duration_s, f" of {self.scope}")

    def named_for(self, step: StepPath) -> str:
        """Return the path that a message about an attempt of `step` shows; empty for the step's own limit."""
        return "" if self.scope == step else str(self.scope)


def limits_of(workflow: Workflow, step: Step, path: StepPath, record: RunRecord) -> Limits:
    """Return the limits of a step's next attempt. If `max_budget` is zero or less, the attempt must not start.

    The budget of a step counts all its attempts and the parts of its replans. The budget of a group counts all
    attempts inside, and so do the limits of a called workflow.
    """
    guard = step.guard
    found: list[tuple[float | None, float, Scope, str]] = []
    if workflow.max_budget is not None:
        found.append((workflow.max_budget, record.total.bound_usd, "run", ""))
    shared = [(each, record.total_in(each.scope)) for each in shared_limits(workflow, path)]
    for each, total in shared:
        if each.max_budget is not None:
            found.append((each.max_budget, total.bound_usd, each.whose, each.named_for(path)))
    if guard.max_budget is not None:
        found.append((guard.max_budget, 0.0, "guard", ""))
    budget, spent_usd, budget_scope, budget_of = min(
        found, key=lambda limit: (limit[0] or 0.0) - limit[1], default=(None, 0.0, "guard", "")
    )
    limits = replace(
        _time(guard.max_time, workflow.max_time, record.duration_s),
        max_turns=guard.max_turns,
        max_budget=None if budget is None else budget - spent_usd,
        max_tokens=guard.max_tokens,
        budget_scope=budget_scope,
        budget_of=budget_of,
        budget_spent=spent_usd,
    )
    for each, total in shared:
        limits = _within(limits, each, total, each.named_for(path))
    return limits


def _time(own: float | None, limit: float | None, spent_s: float) -> Limits:
    """Return the time limit of the next attempt: its own, or the run's remaining time if that is less."""
    if limit is None or (own is not None and own <= limit - spent_s):
        return Limits(max_time_s=own)
    left_s = max(1.0, limit - spent_s)
    return Limits(max_time_s=left_s, time_scope="run", time_spent_s=limit - left_s)


def _within(limits: Limits, shared: SharedLimits, total: Total, owner: str) -> Limits:
    """Return the limits, reduced to what the attempts so far have left of shared tokens and time."""
    if shared.max_tokens is not None:
        left, spent_tokens = shared.max_tokens - total.tokens.total, total.tokens.total
        if limits.max_tokens is None or left < limits.max_tokens:
            limits = replace(
                limits, max_tokens=left, tokens_scope=shared.whose, tokens_of=owner, tokens_spent=spent_tokens
            )
    if shared.max_time is not None:
        left_s = max(0.0, shared.max_time - total.duration_s)
        if limits.max_time_s is None or left_s < limits.max_time_s:
            time_spent_s = shared.max_time - left_s
            limits = replace(
                limits, max_time_s=left_s, time_scope=shared.whose, time_of=owner, time_spent_s=time_spent_s
            )
    return limits


def spent_out(workflow: Workflow, record: RunRecord, total: Total | None = None) -> str | None:
    """Return in one line which limit of the run is reached, so that it must end; None if it can continue.

    `total` is the usage so far, if it includes attempts that the record does not.
    """
    return _reached(workflow, total or record.total, record.duration_s)


def _reached(limits: Workflow | SharedLimits, total: Total, duration_s: float, where: str = "") -> str | None:
    if limits.max_budget is not None and total.bound_usd >= limits.max_budget:
        presumed = f", and up to {format_usd(total.presumed_usd)} of unknown cost" if total.presumed_usd else ""
        return f"max_budget of {format_usd(limits.max_budget)}{where} is spent: {format_usd(total.cost_usd)}{presumed}"
    if limits.max_tokens is not None and total.tokens.total >= limits.max_tokens:
        return f"max_tokens of {limits.max_tokens}{where} is used up: {total.tokens.total}"
    if limits.max_time is not None and duration_s >= limits.max_time:
        return f"max_time of {format_duration(limits.max_time)}{where} is over"
    return None


def run_is_over(order: Order, result: AttemptResult, workflow: Workflow, record: RunRecord) -> str | None:
    """Return why no other step of the run may start, if the run's own budget is spent; otherwise None."""
    if result.outcome is not Outcome.BUDGET:
        return None
    reason = spent_out(workflow, record)
    return result.reason if reason is None and order.limits.budget_scope == "run" else reason


def refusal(workflow: Workflow, record: RunRecord, limits: Limits) -> str | None:
    """Return why no agent may start: a limit of the run is reached, or `limits` leave nothing. Otherwise None."""
    reason = spent_out(workflow, record)
    if reason is None and limits.max_budget is not None and limits.max_budget <= 0:
        limit = format_usd(limits.max_budget + limits.budget_spent)
        name = whose("max_budget", limits.budget_scope, limits.budget_of)
        return f"{name} is spent: {format_usd(limits.budget_spent)} of {limit}"
    if reason is None and limits.max_tokens is not None and limits.max_tokens <= 0:
        name, tokens = whose("max_tokens", limits.tokens_scope, limits.tokens_of), limits.tokens_spent
        return f"{name} is used up: {tokens} of {limits.max_tokens + tokens} tokens"
    if reason is None and limits.time_scope == "call" and not limits.max_time_s:
        return f"{whose('max_time', 'call', limits.time_of)} is over: {format_duration(limits.time_spent_s)}"
    return reason


def shared_limits(workflow: Workflow, path: StepPath) -> Iterator[SharedLimits]:
    """Yield the limits of the step, its groups and its calls. A call with `foreach` is one call for each item."""
    for scope, step in _steps_to(workflow, path):
        if step.max_budget is not None:
            yield SharedLimits(scope, "step", step.max_budget)
    for around in calls_around(workflow, path.names):
        scope, call = StepPath(around.names, path.items[: around.items]), around.call
        yield SharedLimits(scope, "call", call.max_budget, call.max_tokens, call.max_time)


def _steps_to(workflow: Workflow, path: StepPath) -> Iterator[tuple[StepPath, Step]]:
    """Yield the groups around a step and the step, each with the path that its attempts share.

    The calls for the context of a step are parts of it.
    """
    steps, items = workflow.steps, 0
    step: Step | None = None
    for depth, name in enumerate(path.names, 1):
        own, group = child_of(steps, None, declared(name)), step
        if own is not None:
            yield StepPath((*path.names[: depth - 1], own.name), path.items[:items]), own
        step = child_of(steps, group, name)
        if step is None:
            return
        items += step.foreach is not None
        steps = step.steps
