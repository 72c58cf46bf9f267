"""The tree of steps as a list of leaves and as a comparable value, positions in it, and why steps are skipped."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.engine.schedule.nodes import Group, Leaf, top_of
from pytest_gump.engine.schedule.records import LeafState
from pytest_gump.workflow.generated import GATE, has_own_gate, merge_path, merged_members

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence

    from pytest_gump.engine.schedule.nodes import FailureCase, StepNode
    from pytest_gump.engine.schedule.plans import Plans
    from pytest_gump.engine.schedule.records import StepStatus
    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.path import StepPath

_BEHIND = 1 << 30


def plan_position(node: StepNode) -> tuple[int, ...]:
    """Return the sort key of a node in plan order.

    The merge of a member comes after all its steps; validators come after the step that they check.
    """
    own = (node.index, _BEHIND) if isinstance(node, Leaf) and node.role == "merge" else (node.index,)
    above = node.owner if isinstance(node, Group) and node.owner is not None else node.parent
    return own if above is None else (*plan_position(above), *own)


def member_of(node: StepNode) -> StepPath | None:
    """Return the innermost parallel member or validator that contains a node, or None."""
    while (group := node.parent) is not None:
        if group.parallel is not None and node.index < group.size:
            return node.path
        node = group
    return node.path if isinstance(node, Group) and node.owner is not None else None


def living(group: Group) -> Iterator[StepPath]:
    """Yield the parallel members and the validators below a group whose steps are running."""
    parallel = group.parallel
    members = group.members if parallel is None else group.members[parallel.ended :]
    for member in members:
        if member is None:
            continue
        if parallel is not None and member.index < group.size and parallel.states[member.index] == "running":
            yield member.path
        running = member if isinstance(member, Group) else member.validator
        if running is not None and running.status == "running":
            yield from [running.path] if running.owner is not None else []
            yield from living(running)


class LeafList(NamedTuple):
    """The leaves of a tree. In a failed run, steps that have not ended and are not in flight are skipped."""

    attempts: Mapping[StepPath, int]
    plans: Plans
    in_flight: Collection[StepPath]
    has_failed: bool

    @property
    def _unfinished(self) -> StepStatus:
        return "skipped" if self.has_failed else "pending"

    def below(self, group: Group) -> Iterator[LeafState]:
        """Yield the leaves below a group in display order."""
        if not group.size:
            for leaf in self._not_entered(group.steps, group.path.item("*"), None):
                yield leaf._replace(status="skipped")
        merges = group.parallel.merges if group.parallel is not None else {}
        for index, node in enumerate(group.members):
            if isinstance(node, Group):
                yield from self.below(node)
            elif node is not None:
                yield self._leaf(node.path, self._status(node))._replace(validators=_unanswered(node))
            elif index == group.size:
                yield self._leaf(group.path.child(GATE), self._unfinished)
            elif group.kind == "foreach":
                yield from self._not_entered(group.steps, group.path.item(group.plan[index].slug), None)
            else:
                step = group.steps[index]
                yield from self._step(step, group.path.child(step.name))
            if group.parallel is not None and index < group.size and group.may_write(index):
                if group.parallel.states[index] == "merged" and index not in merges:
                    continue  # its plan was empty, so it has no changes
                merge = merges.get(index) or group.merge(index)
                yield self._leaf(merge.path, self._status(merge))

    def _step(self, step: Step, path: StepPath) -> Iterator[LeafState]:
        if step.kind == "group":
            yield from self._not_entered(step.steps, path, step)
        else:
            yield self._leaf(path, self._unfinished)

    def _not_entered(self, steps: Sequence[Step], path: StepPath, group: Step | None) -> Iterator[LeafState]:
        """Yield the steps of a group, or of the scope of a plan item, that has not started."""
        merged = [*merged_members(group)] if group is not None else []
        scopes = [path]
        if group is not None and group.foreach is not None:
            plan = self.plans.find(path, group.foreach)
            names = [item.slug for item in plan] if plan is not None else ["*"]
            scopes = [path.item(name) for name in names]
            merged = names if merged else []
        for number, scope in enumerate(scopes):
            for step in steps:
                yield from self._step(step, scope.child(step.name))
                if step.name in merged and group is not None and group.foreach is None:
                    yield self._leaf(merge_path(path, step.name), self._unfinished)
            if merged and group is not None and group.foreach is not None:
                yield self._leaf(merge_path(path, merged[number]), self._unfinished)
        if group is not None and has_own_gate(group):
            yield self._leaf(path.child(GATE), self._unfinished)

    def _leaf(self, path: StepPath, status: StepStatus) -> LeafState:
        return LeafState(path, status, self.attempts.get(path, 0), "*" in path.items)

    def _status(self, leaf: Leaf) -> StepStatus:
        is_cut_off = self.has_failed and leaf.status == "running" and leaf.path not in self.in_flight
        return self._unfinished if leaf.status == "pending" or is_cut_off else leaf.status


def _unanswered(leaf: Leaf) -> tuple[str, ...] | None:
    """Return the names of the validators of the latest attempt that have not answered, if it is validated now."""
    if leaf.validation is None:
        return None
    names = enumerate(gate.argument or "" for gate in leaf.step.validator_gates)
    return tuple(name for index, name in names if index not in leaf.validation.answers)


def case_text(case: FailureCase) -> str:
    return f"{case.path} failed: {case.outcome}"


def by_reason(root: Group, skipped: Iterable[StepPath], reason: str) -> Iterator[tuple[str, Iterator[StepPath]]]:
    """Yield skipped steps in their order, grouped by the failure of the innermost member around them, or `reason`."""
    failed = {scope: case_text(case) for scope, case in _failed_members(root)}

    def why(path: StepPath) -> str:
        return [reason, *(failed[scope] for scope in path.scopes if scope in failed)][-1]

    return groupby(skipped, why)


def _failed_members(group: Group) -> Iterator[tuple[StepPath, FailureCase]]:
    """Yield the failed members of parallel groups, those that depend on them, and their merges, each with a failure."""
    failures = {} if group.parallel is None else group.parallel.first_failures()
    for index, case in failures.items():
        merge = group.merge(index).path
        name = merge.items[-1]
        yield group.path.item(name) if group.kind == "foreach" else group.path.child(name), case
        yield merge, case
    for member in group.members:
        if isinstance(member, Group):
            yield from _failed_members(member)


def signature(node: StepNode | None) -> Hashable:
    """Return the state of a node and all nodes below it as a comparable value."""
    if node is None:
        return None
    counts = tuple(sorted((name, count.failures, *sorted(count.used)) for name, count in node.tally.counts.items()))
    own = (node.path, node.status, node.begin, node.lane.head, node.cause, counts)
    if isinstance(node, Leaf):
        replanning = node.replanning and (node.replanning.base, node.replanning.plan, node.replanning.index)
        at = node.validation
        tops = [] if at is None else [at.running, *(top_of(cases[0].leaf) for cases in at.broken.values())]
        said = at and (at.checked, at.commit, tuple(at.answers.items()), tuple(at.verdicts.items()))
        answers = (said, *map(signature, tops))
        return (*own, node.agent, node.attempt, node.left, node.has_crashed, replanning, answers)
    parallel = node.parallel.signature() if node.parallel is not None else None
    return (*own, node.override, node.session, node.is_fresh, parallel, *map(signature, node.members))
