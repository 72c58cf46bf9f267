"""Results of passed steps that later steps depend on: the plan of a `foreach`, and the agent of another step."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pytest_gump.engine.schedule.plan_sort import in_order, overlaps
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.nodes import Group, Leaf
    from pytest_gump.order import PlanItem
    from pytest_gump.workflow.refs import Scopes


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


Kept = TypeVar("Kept")


class _Newest(Generic[Kept]):
    """The newest result of each passed step."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._results: dict[StepPath, Kept] = {}

    def find(self, path: StepPath, reference: str) -> Kept | None:
        """Return the result of the step that `reference` in the step at `path` refers to; None if it has none yet.

        A referenced step inside the same plan items has one result for each of them.
        """
        names = self._scopes.resolve(path.names, reference)
        depths = range(len(path.items), -1, -1)
        results = (self._results.get(StepPath(names, path.items[:depth])) for depth in depths)
        return next((result for result in results if result is not None), None)


class Agents(_Newest[str]):
    """The agents with which steps have passed."""

    def add(self, path: StepPath, agent: str) -> None:
        self._results[path] = agent

    def declared_for(self, leaf: Leaf) -> str | None:
        """Return the agent of a step by the workflow: the declared one, or that of the step it names."""
        agent_of = leaf.step.agent_of
        return (self.find(leaf.path, agent_of.step) if agent_of is not None else None) or leaf.step.agent


class Plans(_Newest[tuple["PlanItem", ...]]):
    """The plans for `foreach`."""

    def add(self, path: StepPath, plan: tuple[PlanItem, ...]) -> None:
        self._results[path] = in_order(plan)

    def begins_empty(self, group: Group) -> bool:
        """True if the next member of a parallel group begins with a foreach whose plan is empty."""
        index = group.parallel_pass.next_index
        step, path = group.steps[0 if group.kind == "foreach" else index], group.path
        path = (path.item(group.plan[index].slug) if group.kind == "foreach" else path).child(step.name)
        while step.kind == "group" and step.foreach is None:
            step = step.steps[0]
            path = path.child(step.name)
        return step.foreach is not None and self.find(path, step.foreach) == ()

    def expanded_by(self, group: Group) -> tuple[PlanItem, ...]:
        """Return the plan whose items become the members of `group`.

        Raises:
            ValueError: The plan step passed without a plan.
        """
        plan = self.find(group.path, group.step.foreach) if group.step.foreach is not None else None
        if plan is None:
            raise ValueError(f"no plan for {group.path}: {group.step.foreach!r} passed without one")
        return plan
