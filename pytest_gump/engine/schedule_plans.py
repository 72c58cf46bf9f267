"""Which plan a `foreach` works through: the newest passed one of the step it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.engine.nodes import Group
    from pytest_gump.engine.order import PlanItem
    from pytest_gump.workflow.model import Step, Workflow


class Plans:
    def __init__(self, workflow: Workflow) -> None:
        self._steps = dict(_walk(workflow.steps, ()))
        self._plans: dict[StepPath, tuple[PlanItem, ...]] = {}

    def add(self, path: StepPath, plan: tuple[PlanItem, ...]) -> None:
        self._plans[path] = plan

    def find(self, path: StepPath, reference: str) -> tuple[PlanItem, ...] | None:
        """Find the plan for the `foreach` at `path`; None when it is not known yet."""
        names = self._resolve(path.names, tuple(reference.split("::")))
        depths = range(len(path.items), -1, -1)
        plans = (self._plans.get(StepPath(names, path.items[:depth])) for depth in depths)
        return next((plan for plan in plans if plan is not None), None)

    def of(self, group: Group) -> tuple[PlanItem, ...]:
        """Give the plan that `group` must expand now.

        Raises:
            ValueError: the plan step passed without a plan.
        """
        plan = self.find(group.path, group.step.foreach) if group.step.foreach is not None else None
        if not plan:
            raise ValueError(f"no plan for {group.path}: {group.step.foreach!r} has handed none over")
        return plan

    def _resolve(self, asking: tuple[str, ...], reference: tuple[str, ...]) -> tuple[str, ...]:
        """Look in the nearest enclosing scope first, at last anywhere."""
        for depth in range(len(asking) - 1, -1, -1):
            if (*asking[:depth], *reference) in self._steps:
                return (*asking[:depth], *reference)
        return next((names for names in self._steps if names[-len(reference) :] == reference), reference)


def _walk(steps: Sequence[Step], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Step]]:
    for step in steps:
        names = (*above, step.name)
        if step.output == "plan" and step.kind == "agent":
            yield names, step
        yield from _walk(step.steps, names)
