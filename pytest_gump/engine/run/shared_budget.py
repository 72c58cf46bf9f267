"""The limits that attempts in parallel share: those of the run, of groups and of calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.agents.usage import is_unknown
from pytest_gump.engine.run.budget import shared_limits, spent_out
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_gump.agents.usage import Total, Usage
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.run.budget import SharedLimits
    from pytest_gump.order import Order
    from pytest_gump.workflow.model import Step, Workflow


class SpentOut(NamedTuple):
    """Running attempts that must stop, because a limit that they share is reached."""

    reason: str
    scope: StepPath | None = None
    """The group or call whose attempts must stop; None for all attempts of the run."""

    def stops(self, step: str) -> bool:
        """True if the attempt of a step must stop."""
        return self.scope is None or self.scope.contains(StepPath.parse(step))


class _Reservation(NamedTuple):
    usd: float
    began: float


class SharedBudget:
    """Reservations and usage of running attempts. An attempt reserves its own limit when it starts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reserved: dict[str, _Reservation] = {}
        """Reservations of running attempts, by step."""
        self._used: dict[str, Usage] = {}
        """Usage of running attempts so far, by step."""
        self._shared: dict[str, list[SharedLimits]] = {}
        """Limits that a running attempt shares with others, by step."""

    def begin(self, order: Order, step: Step) -> None:
        """Reserve the step's own limit. What an attempt spends of shared budgets is checked while it runs."""
        own = step.guard.max_budget or step.max_budget
        limit = order.limits.max_budget
        usd = 0.0 if own is None else min(own, limit if limit is not None else own)
        self._reserved[order.step] = _Reservation(usd, self._clock())

    def on_usage(self, order: Order, usage: Usage) -> None:
        if order.step in self._reserved:
            self._used[order.step] = usage

    def end(self, order: Order) -> None:
        self._reserved.pop(order.step, None)
        self._used.pop(order.step, None)
        self._shared.pop(order.step, None)

    def must_wait(self, workflow: Workflow, step: Step, path: StepPath, record: RunRecord) -> bool:
        """True if another attempt must wait until running attempts have released their reservations."""
        wanted = step.guard.max_budget or step.max_budget or 0.0
        limit = workflow.max_budget
        if limit is not None and self._is_short(limit - record.total.bound_usd, [*self._reserved], wanted):
            return True
        for limits in shared_limits(workflow, path):
            if limits.max_budget is not None:
                beside = [other for other in self._reserved if limits.scope.contains(StepPath.parse(other))]
                left = limits.max_budget - record.total_in(limits.scope).bound_usd
                if self._is_short(left, beside, step.guard.max_budget or 0.0):
                    return True
        return False

    def spent_out(self, workflow: Workflow, order: Order, record: RunRecord) -> SpentOut | None:
        """Return which running attempts must stop, including an attempt's usage so far; None if none must."""
        shared = self._shared.get(order.step)
        if shared is None:
            shared = self._shared[order.step] = [*shared_limits(workflow, StepPath.parse(order.step))]
        if not shared and workflow.max_budget is workflow.max_tokens is workflow.max_time is None:
            return None
        reason = spent_out(workflow, record, self._with_running(record.total, self._used))
        if reason is not None:
            return SpentOut(reason)
        for limits in shared:
            inside = [other for other in self._used if limits.scope.contains(StepPath.parse(other))]
            if len(inside) > 1:  # a single attempt has its own limit
                reason = limits.reached(self._with_running(record.total_in(limits.scope), inside))
                if reason is not None:
                    return SpentOut(reason, limits.scope)
        return None

    def _with_running(self, total: Total, steps: Iterable[str]) -> Total:
        now = self._clock()
        for step in steps:
            usage = self._used[step]
            total = total.plus(usage, now - self._reserved[step].began, unknown=is_unknown(usage))
        return total

    def _is_short(self, left: float, beside: list[str], wanted: float) -> bool:
        free = left - sum(map(self._committed, beside))
        return bool(beside) and (free <= 0 or free < wanted)

    def _committed(self, step: str) -> float:
        used = self._used.get(step)
        return max(self._reserved[step].usd, (used.cost_usd or 0.0) if used is not None else 0.0)
