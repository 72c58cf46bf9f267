"""The plan of a `foreach`: the newest passed plan of the named step."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.plan_sort import in_order, overlaps
from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.refs import Scopes

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.nodes import Group
    from pytest_gump.order import PlanItem
    from pytest_gump.workflow.model import Workflow


_NAMED_PAIRS: Final = 5


def overlap_notes(group: Group) -> list[str]:
    """Return notes on items that may change the same files, before they start in parallel."""
    if group.kind != "foreach":
        return []
    waits = group.step.overlap == "serialize"
    pairs = [
        f"{group.path}: items {group.plan[first].slug} and {group.plan[second].slug} may both change {pattern}"
        + (", so the second waits for the first" if waits else "")
        for first, second, pattern in islice(overlaps(group.plan), _NAMED_PAIRS + 1)
    ]
    return pairs if len(pairs) <= _NAMED_PAIRS else [*pairs[:_NAMED_PAIRS], "and there are more"]


class Plans:
    def __init__(self, workflow: Workflow) -> None:
        self._scopes = Scopes(workflow)
        self._plans: dict[StepPath, tuple[PlanItem, ...]] = {}

    def add(self, path: StepPath, plan: tuple[PlanItem, ...]) -> None:
        self._plans[path] = in_order(plan)

    def find(self, path: StepPath, reference: str) -> tuple[PlanItem, ...] | None:
        """Return the plan for the `foreach` at `path`; None if it is not known yet.

        A plan step inside the same plan items as the `foreach` has one plan for each of them.
        """
        names = self._scopes.resolve(path.names, reference)
        depths = range(len(path.items), -1, -1)
        plans = (self._plans.get(StepPath(names, path.items[:depth])) for depth in depths)
        return next((plan for plan in plans if plan is not None), None)

    def expanded_by(self, group: Group) -> tuple[PlanItem, ...]:
        """Return the plan whose items become the members of `group`.

        Raises:
            ValueError: The plan step passed without a plan.
        """
        plan = self.find(group.path, group.step.foreach) if group.step.foreach is not None else None
        if not plan:
            raise ValueError(f"no plan for {group.path}: {group.step.foreach!r} passed without one")
        return plan
