"""The entered part of the tree of steps, and the attempts that may start in it.

Each step and group keeps the commit at which it began. The head of the run moves only when a step passes.

The members of a parallel group start at the commit at which the group began, independent of the number of parallel
attempts, and are merged in plan order. Each merge is a step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.attempts import first_attempt, merge_attempt, next_number
from pytest_gump.engine.schedule.nodes import Group, Lane, Leaf
from pytest_gump.engine.schedule.open_attempts import OpenAttempts
from pytest_gump.engine.schedule.parallel_pass import ParallelPass
from pytest_gump.engine.schedule.plans import Agents, Plans, overlap_notes
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.view import by_reason, living, member_of, plan_position
from pytest_gump.workflow.model import Step
from pytest_gump.workflow.path import StepPath
from pytest_gump.workflow.refs import Scopes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.engine.schedule.nodes import FailureCase, Reopened, StepNode
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.model import Workflow


class StepTree(ABC):
    def __init__(self, workflow: Workflow, *, base: str) -> None:
        self._attempts: Counter[StepPath] = Counter()
        scopes = Scopes(workflow)
        self._plans = Plans(scopes)
        self._agents = Agents(scopes)
        self._open = OpenAttempts()
        self._enterable_groups: list[Group] = []
        """Parallel groups with members that may start."""
        self._awaiting: dict[StepPath, tuple[Leaf, Ready]] = {}
        """Attempts that have ended and wait for the approval of a person."""
        self._settled = Settled()
        """Consequences of the result that is being processed."""
        self._without_items: set[StepPath] = set()
        """Steps that were skipped because the plan of their foreach group has no items."""
        self._newly_empty: dict[StepPath, list[StepPath]] = {}
        """Foreach groups without items since the last result, each with its steps."""
        root = Step(name=workflow.name, steps=workflow.steps)
        self._root = Group(StepPath(()), root, workflow.steps, "root", None, 0, (), Lane(base))
        self._enter(self._root)

    @property
    def passed(self) -> bool:
        return self._root.status == "passed"

    @property
    def head(self) -> str:
        """Commit of the run's tree, after the last passed step that was not undone by a restart."""
        return self._root.lane.head

    def ready(self, most: int | None = None) -> list[Ready]:
        """Return up to `most` attempts that may start now, in plan order. Enters no more parallel members than that."""
        while self._enterable_groups and (most is None or self._open.waiting < most):
            self._enter_next()
        return self._open.offered(most)

    def start(self, path: StepPath) -> None:
        """Mark the attempt as in flight. It is not offered again, and may finish after the run has failed."""
        self._find(path)
        self._open.start(path)

    def _find(self, path: StepPath) -> tuple[Leaf, Ready]:
        while path not in self._open and self._enterable_groups:
            self._enter_next()
        if path not in self._open:
            raise ValueError(f"no attempt of {path} is open")
        return self._open[path]

    def member_of(self, path: StepPath) -> StepPath | None:
        """Return the innermost parallel member or validator that contains an open attempt, or None."""
        return member_of(self._open[path][0])

    def living(self) -> frozenset[StepPath]:
        """Return the parallel members and validators whose steps are running.

        Members that wait for their merge, or for a person, are left out.
        """
        return frozenset(living(self._root)) - {member_of(leaf) for leaf, _ in self._awaiting.values()}

    def _enter(self, node: StepNode) -> None:
        node.begin = node.lane.head
        if isinstance(node, Leaf):
            node.declared = self._agents.declared_for(node)
            self._start(node, first_attempt(node, self._attempts))
            return
        if node.kind == "foreach":
            node.plan = self._plans.expanded_by(node)
        self._begin_pass(node)

    def _begin_pass(self, group: Group) -> None:
        group.status, group.began = "running", group.lane.head
        next_number(self._attempts, group.path)
        group.reset()
        if not group.size:
            self._begin_empty(group)
            return
        if not group.is_parallel:
            self._enter(group.member(0, group.lane))
            return
        waits = group.waits()
        self._settled.notes += overlap_notes(group)
        group.parallel = ParallelPass(group.size, group.lane.head, needs=waits.needs, after=waits.after)
        self._note_enterable(group, group.parallel)

    def by_reason(self, skipped: Iterable[StepPath], reason: str) -> Iterator[tuple[str, Iterator[StepPath]]]:
        """Yield skipped steps by why they are skipped: their parallel member has failed, otherwise `reason`."""
        return by_reason(self._root, skipped, reason)

    @abstractmethod
    def _begin_empty(self, group: Group) -> None:
        """Continue after a foreach group whose plan has no items."""

    def _start(self, leaf: Leaf, ready: Ready) -> None:
        leaf.status = "running"
        self._open.add(leaf, ready)

    def _note_enterable(self, group: Group, parallel: ParallelPass[Leaf, FailureCase]) -> None:
        if parallel.has_more and group not in self._enterable_groups:
            self._enterable_groups.append(group)

    def _enter_next(self) -> None:
        """Start one more member of a parallel group: the first one in plan order."""
        self._enter_member(min(self._enterable_groups, key=plan_position))

    def _enter_member(self, group: Group) -> None:
        index, head = group.parallel_pass.enter()
        if not group.parallel_pass.has_more:
            self._enterable_groups.remove(group)
        self._enter(group.member(index, Lane(head)))

    def _start_merge(self, group: Group, parallel: ParallelPass[Leaf, FailureCase], index: int) -> None:
        leaf = group.merge(index)
        leaf.begin = group.lane.head
        parallel.states[index], parallel.merges[index] = "merging", leaf
        self._start(leaf, merge_attempt(leaf, group.entered(index), self._attempts))

    def _reopen(self, merge: Leaf, case: FailureCase, kept: Reopened) -> None:
        """Restart a member that could not be merged."""
        group = merge.parent
        group.parallel_pass.states[merge.index] = "running"
        merge.status = "pending"
        case = replace(case, items=kept.path.items)
        self._enter(group.reopen(merge.index, Lane(group.lane.head), case, kept))
