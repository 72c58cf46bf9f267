"""The budget of a run, shared by attempts that run in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents.usage import is_unknown
from pytest_gump.engine.run.budget import budgets, spent, spent_out
from pytest_gump.units import format_usd
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.agents.usage import Usage
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.order import Order
    from pytest_gump.workflow.model import Step, Workflow


class SharedBudget:
    """Reservations and usage of running attempts. An attempt reserves its own limit when it starts."""

    def __init__(self) -> None:
        self._reserved: dict[str, float] = {}
        """Reserved US dollars, by step."""
        self._used: dict[str, Usage] = {}
        """Usage of running attempts so far, by step."""
        self._budgets: dict[str, list[tuple[StepPath, float]]] = {}
        """Budgets that a running attempt shares with others, by step."""

    def begin(self, order: Order, step: Step) -> None:
        """Reserve the step's own limit. What an attempt spends of shared budgets is checked while it runs."""
        own = step.guard.max_budget or step.max_budget
        limit = order.limits.max_budget
        self._reserved[order.step] = 0.0 if own is None else min(own, limit if limit is not None else own)

    def on_usage(self, order: Order, usage: Usage) -> None:
        if order.step in self._reserved:
            self._used[order.step] = usage

    def end(self, order: Order) -> None:
        self._reserved.pop(order.step, None)
        self._used.pop(order.step, None)
        self._budgets.pop(order.step, None)

    def must_wait(self, workflow: Workflow, step: Step, path: StepPath, record: RunRecord) -> bool:
        """True if another attempt must wait until running attempts have released their reservations."""
        wanted = step.guard.max_budget or step.max_budget or 0.0
        limit = workflow.max_budget
        if limit is not None and self._is_short(limit - record.total.bound_usd, [*self._reserved], wanted):
            return True
        for scope, budget in budgets(workflow, path):
            beside = [other for other in self._reserved if scope.contains(StepPath.parse(other))]
            if self._is_short(budget - spent(record, scope), beside, step.guard.max_budget or 0.0):
                return True
        return False

    def spent_out(self, workflow: Workflow, order: Order, record: RunRecord) -> str | None:
        """Return why the run must end, including the usage of running attempts so far; None if it can continue.

        If the budget of a group is spent, the group fails, and so does the run.
        """
        scopes = self._budgets.get(order.step)
        if scopes is None:
            scopes = self._budgets[order.step] = [*budgets(workflow, StepPath.parse(order.step))]
        if not scopes and workflow.max_budget is workflow.max_tokens is workflow.max_time is None:
            return None
        total = record.total
        for usage in self._used.values():
            total = total.plus(usage, 0.0, unknown=is_unknown(usage))
        for scope, budget in scopes:
            used = [
                usage.cost_usd or 0.0 for other, usage in self._used.items() if scope.contains(StepPath.parse(other))
            ]
            if len(used) > 1 and (total_usd := spent(record, scope) + sum(used)) >= budget:  # one has its own limit
                return f"max_budget of {format_usd(budget)} of {scope} is spent: {format_usd(total_usd)}"
        return spent_out(workflow, record, total)

    def _is_short(self, left: float, beside: list[str], wanted: float) -> bool:
        free = left - sum(map(self._committed, beside))
        return bool(beside) and (free <= 0 or free < wanted)

    def _committed(self, step: str) -> float:
        used = self._used.get(step)
        return max(self._reserved[step], (used.cost_usd or 0.0) if used is not None else 0.0)
