"""What attempts that run at the same time spend of one run's money and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.budget import spent_out

if TYPE_CHECKING:
    from pytest_gump.agents.base import Usage
    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.engine.order import Order
    from pytest_gump.workflow.model import Step, Workflow


class SharedBudget:
    """An attempt reserves what its own limits allow it when it begins, and settles when it ends."""

    def __init__(self) -> None:
        self._reserved: dict[str, float] = {}
        """Dollars, by step."""
        self._used: dict[str, Usage] = {}
        """What running attempts have used so far, by step."""

    def begin(self, order: Order) -> None:
        limits = order.limits
        is_own = limits.budget_scope != "run" and limits.max_budget is not None
        self._reserved[order.step] = limits.max_budget or 0.0 if is_own else 0.0

    def hear(self, order: Order, usage: Usage) -> None:
        if order.step in self._reserved:
            self._used[order.step] = usage

    def end(self, order: Order) -> None:
        self._reserved.pop(order.step, None)
        self._used.pop(order.step, None)

    def must_wait(self, workflow: Workflow, step: Step, record: RunRecord) -> bool:
        """Whether another attempt has to wait until those that run have settled what they reserved."""
        if workflow.max_budget is None or not self._reserved:
            return False
        free = workflow.max_budget - record.total.cost_usd - sum(map(self._committed, self._reserved))
        wanted = step.guard.max_budget or step.max_budget or 0.0
        return free <= 0 or free < wanted

    def spent_out(self, workflow: Workflow, record: RunRecord) -> str | None:
        """Why the run must end, with what running attempts have used so far counted in; None while it may go on."""
        total = record.total
        for usage in self._used.values():
            total = total.plus(usage, 0.0)
        return spent_out(workflow, record, total)

    def _committed(self, step: str) -> float:
        used = self._used.get(step)
        return max(self._reserved[step], (used.cost_usd or 0.0) if used is not None else 0.0)
