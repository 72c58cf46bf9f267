"""The whole tree as a list of leaves, and as one comparable value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.nodes import Group, Leaf
from pytest_gump.engine.schedule_records import LeafState

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from pytest_gump.engine.nodes import Node
    from pytest_gump.engine.schedule_plans import Plans
    from pytest_gump.engine.schedule_records import Status
    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.path import StepPath


def leaves(root: Group, attempts: Mapping[StepPath, int], plans: Plans, *, has_failed: bool) -> list[LeafState]:
    """List the leaves in display order; what a failed run did not bring to an end is skipped."""
    unfinished: Status = "skipped" if has_failed else "pending"
    view = _View(attempts, plans, unfinished, is_over=has_failed)
    return list(view.members(root))


class _View:
    def __init__(self, attempts: Mapping[StepPath, int], plans: Plans, unfinished: Status, *, is_over: bool) -> None:
        self._attempts = attempts
        self._plans = plans
        self._unfinished = unfinished
        self._is_over = is_over

    def members(self, group: Group) -> Iterator[LeafState]:
        for index, node in enumerate(group.members):
            if isinstance(node, Group):
                yield from self.members(node)
            elif node is not None:
                yield self._leaf(node.path, self._status(node))
            elif group.kind == "foreach":
                yield from self._unborn(group.steps, group.path.item(group.plan[index].slug), None)
            else:
                step = group.steps[index]
                yield from self._step(step, group.path.child(step.name))

    def _step(self, step: Step, path: StepPath) -> Iterator[LeafState]:
        if step.kind == "group":
            yield from self._unborn(step.steps, path, step)
        else:
            yield self._leaf(path, self._unfinished)

    def _unborn(self, steps: Sequence[Step], path: StepPath, group: Step | None) -> Iterator[LeafState]:
        """Steps of a group, or of the scope of a plan item, that has not begun."""
        paths = [path]
        if group is not None and group.foreach is not None:
            plan = self._plans.find(path, group.foreach)
            paths = [path.item(item.slug) for item in plan] if plan else [path.item("*")]
        for scope in paths:
            for step in steps:
                yield from self._step(step, scope.child(step.name))

    def _leaf(self, path: StepPath, status: Status) -> LeafState:
        return LeafState(path, status, self._attempts.get(path, 0), "*" in path.items)

    def _status(self, leaf: Leaf) -> Status:
        return (
            self._unfinished
            if leaf.status == "pending" or (self._is_over and leaf.status == "running")
            else leaf.status
        )


def signature(node: Node | None) -> Hashable:
    """The state of a node and all below it."""
    if node is None:
        return None
    counts = tuple(sorted((name, count.failures, count.entry) for name, count in node.tally.counts.items()))
    own = (node.path, node.status, node.begin, node.lane.head, node.cause, counts)
    if isinstance(node, Leaf):
        replanning = node.replanning and (node.replanning.base, node.replanning.plan, node.replanning.index)
        return (*own, node.agent, node.attempt, node.left, node.has_crashed, replanning)
    pending = node.pending and (node.pending.decider and node.pending.decider.path, node.pending.decision)
    return (*own, node.override, node.session, node.is_fresh, pending, *map(signature, node.members))
