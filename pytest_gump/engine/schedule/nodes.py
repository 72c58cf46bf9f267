"""The run-time tree of steps: what the Schedule moves through.

Nodes are made when they are entered and dropped when a new pass or a restart begins, so counts that must be zeroed
are zeroed by being new. What must outlive that (attempt numbers, plans) is kept by the Schedule, by path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_gump.engine.schedule.plan_sort import Waits, waits
from pytest_gump.engine.schedule.retry import Tally
from pytest_gump.order import Outcome
from pytest_gump.workflow.generated import MERGE_STEP, gate_step, may_write, merge_path
from pytest_gump.workflow.path import REPLAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.schedule.decision import Failure, Retry
    from pytest_gump.engine.schedule.parallel_pass import ParallelPass
    from pytest_gump.engine.schedule.records import Role, StepStatus
    from pytest_gump.order import Mode, PlanItem
    from pytest_gump.workflow.model import OnFailure, Step
    from pytest_gump.workflow.path import StepPath

Cause = Literal["first", "restart", "group"]
NEVER_RETRIED: Final = frozenset({Outcome.BUDGET, Outcome.CRASHED})
"""Final without asking any policy; `crashed` only after its one repeat."""


@dataclass(slots=True)
class Lane:
    """One line of trees: each step starts where the one before it left off. `head` advances only by passes."""

    head: str


class Reopened(NamedTuple):
    """What a step keeps when a conflict restarts its member of a parallel group."""

    path: StepPath
    tally: Tally
    agent: str | None


@dataclass(slots=True)
class Replanning:
    """An attempt of a step that is made by a planner, a list of items and a check."""

    base: str
    """Where the tree stands: after each item, its commit."""
    plan: tuple[PlanItem, ...] = ()
    index: int = 0


@dataclass(slots=True, eq=False)
class Leaf:
    path: StepPath
    step: Step
    parent: Group
    index: int
    items: tuple[PlanItem, ...]
    lane: Lane
    cause: Cause
    tally: Tally
    status: StepStatus = "pending"
    begin: str = ""
    agent: str | None = None
    attempt: int = 0
    left: str = ""
    """Where `same` continues: the tree as the latest failed attempt left it."""
    case: FailureCase | None = None
    """Its latest failure."""
    has_crashed: bool = False
    replanning: Replanning | None = None
    role: Role = "step"
    """`merge`: brings member `index` of a parallel group into the group's tree; `gate`: the group's own gates."""

    @property
    def policy(self) -> OnFailure | None:
        return self.step.on_failure

    @property
    def mode(self) -> Mode:
        if self.role == "merge":
            return "merge"
        return self.step.output if self.step.kind == "agent" else "gate"

    @property
    def item(self) -> PlanItem | None:
        return self.items[-1] if self.items else None


@dataclass(slots=True, eq=False)
class FailureCase:
    """A failed attempt, from its result to the decision and to the prompt that describes it."""

    leaf: Leaf
    path: StepPath
    """Of the attempt: that of the step, or of a part of its replan."""
    failure: Failure
    compare_trees: bool
    has_work: bool
    """The gates could not check the work of an agent: they can run again without the agent."""
    outcome: str
    """Outcome of the step if nothing more is tried."""
    items: tuple[str, ...]
    """Plan items that it is about; for a merge, those of the member."""

    @property
    def is_final(self) -> bool:
        """No policy is asked, neither the step's own nor a group's."""
        return self.failure.outcome in NEVER_RETRIED

    @property
    def is_hopeless(self) -> bool:
        """No group above can continue after it."""
        return self.is_final or not any(group.policy is not None for group in groups_above(self.leaf))

    def concerns(self, path: StepPath) -> bool:
        """Say whether the step works on the same plan item, on an outer one, or on a part of it."""
        shared = min(len(path.items), len(self.items))
        return path.items[:shared] == self.items[:shared]


@dataclass(slots=True)
class Message:
    """Failures for the first agent step that they concern, and whether its conversation is new."""

    cases: list[FailureCase]
    is_fresh: bool


@dataclass(slots=True)
class Restarted:
    """A jump back inside a group that is not yet past the step that asked for it."""

    case: FailureCase
    until: int
    """Index of the member that asked."""
    is_shown: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """Steps in a row: the root, a group, a `foreach` (its members are scopes), or the scope of one plan item."""

    path: StepPath
    step: Step
    steps: tuple[Step, ...]
    kind: Literal["root", "group", "foreach", "scope"]
    parent: Group | None
    index: int
    items: tuple[PlanItem, ...]
    lane: Lane
    cause: Cause = "first"
    tally: Tally = field(default_factory=Tally)
    status: StepStatus = "pending"
    begin: str = ""
    override: str | None = None
    """Agent that an escalated group gives to every agent step in it."""
    session: Literal["policy", "resume"] = "policy"
    plan: tuple[PlanItem, ...] = ()
    members: list[Leaf | Group | None] = field(default_factory=list)
    """The declared ones, and the group's own gates behind them, if it has any."""
    parallel: ParallelPass[Leaf, FailureCase] | None = None
    """How far the members of a parallel group are."""
    kept: dict[int, Tally] = field(default_factory=dict)
    """Tallies that outlive a restart."""
    restarted: Restarted | None = None
    cases: list[FailureCase] = field(default_factory=list)
    """The failures that led to this pass."""
    is_fresh: bool = False
    """The first agent step of this pass starts a fresh session; in parallel, the first one of each member."""
    messages: dict[int, Message] = field(default_factory=dict)
    """The failures for each member of a parallel group, whatever the order in which they begin."""
    reopened: Reopened | None = None

    @property
    def policy(self) -> OnFailure | None:
        return self.step.on_failure if self.kind != "scope" else None

    @property
    def is_parallel(self) -> bool:
        return self.step.parallel and self.kind != "scope"

    @property
    def size(self) -> int:
        """How many members were declared or planned."""
        return len(self.plan) if self.kind == "foreach" else len(self.steps)

    @property
    def parallel_pass(self) -> ParallelPass[Leaf, FailureCase]:
        """The pass of a parallel group.

        Raises:
            LookupError: the group is not parallel, or has not begun.
        """
        if self.parallel is None:
            raise LookupError(f"{self.path} has no parallel pass")
        return self.parallel

    def entered(self, index: int) -> StepNode:
        """The member with this index.

        Raises:
            LookupError: it has not begun.
        """
        member = self.members[index]
        if member is None:
            raise LookupError(f"member {index} of {self.path} has not begun")
        return member

    @property
    def has_gate(self) -> bool:
        return bool(self.step.gate) and self.kind != "scope"

    def may_write(self, index: int) -> bool:
        """Whether the member can leave something that is to be merged."""
        steps = self.steps if self.kind == "foreach" else (self.steps[index],)
        return any(map(may_write, steps))

    def waits(self) -> Waits:
        """Which plan items wait for others."""
        return waits(self.plan, serialize=self.step.overlap == "serialize") if self.kind == "foreach" else Waits()

    def reset(self) -> None:
        """Forget all members: a new pass zeroes the whole subtree."""
        self.members = [None] * (self.size + self.has_gate)
        self.parallel = None
        self.messages.clear()
        self.kept.clear()
        self.restarted = None

    def message(self, index: int) -> Group | Message:
        """Where the first agent step of a member finds its failure."""
        if not self.is_parallel:
            return self
        if index not in self.messages:
            cases = [case for case in self.cases if self._may_be_for(case, index)]
            self.messages[index] = Message(cases, self.is_fresh)
        return self.messages[index]

    def _may_be_for(self, case: FailureCase, index: int) -> bool:
        """Whether a failure was that of this member, or of no member alone; `concerns` compares plan items."""
        path, depth = case.path, len(self.path.names)
        if self.kind == "foreach" or path.names[:depth] != self.path.names or len(path.names) == depth:
            return True
        names = [step.name for step in self.steps]
        name = path.names[depth].removesuffix(REPLAN)
        failed = path.items[-1] if name == MERGE_STEP.name and path.items else name
        return failed not in names or names[index] == failed

    def renew(self, decision: Retry, cases: list[FailureCase], left: str) -> None:
        """Prepare the next pass, which the group's own policy granted; `left` is where the failed one left the tree."""
        is_reset = decision.worktree == "reset"
        is_other = decision.agent is not None and decision.agent != self.override
        session = decision.session or ("fresh" if is_other or is_reset else "resume")
        self.override = decision.agent or self.override
        self.session = "resume" if session == "resume" else "policy"
        self.is_fresh = session == "fresh"
        self.cases = cases
        self.cause = "group"
        self.lane.head = self.begin if is_reset else left

    def rewind(self, target: StepNode, until: StepNode, case: FailureCase) -> None:
        """Make room for a restart: the tallies of both ends are kept, what lies between is forgotten.

        The tallies of steps after `until`, which wait for a restart of their own to come back to them, are kept too:
        otherwise two restarts that cross could repeat forever.
        """
        later = {index: tally for index, tally in self.kept.items() if index > until.index}
        self.kept = {**later, target.index: target.tally, until.index: until.tally}
        reach = max(until.index, self.restarted.until) if self.restarted is not None else until.index
        self.restarted = Restarted(case, reach)
        self.members[target.index : until.index + 1] = [None] * (until.index + 1 - target.index)

    def member(self, index: int, lane: Lane) -> Leaf | Group:
        """Create the member, in place of an earlier one."""
        is_restarted = self.restarted is not None and index <= self.restarted.until
        cause: Cause = "restart" if is_restarted else self.cause
        if index == self.size:
            node: Leaf | Group = self._gate(index, lane, cause)
        else:
            node = self._scope(index, lane, cause) if self.kind == "foreach" else self._step(index, lane, cause)
        if isinstance(node, Group):
            node.override = self.override
            node.session = "policy" if is_restarted else self.session
            node.reopened = self.reopened
        self.members[index] = node
        return node

    def reopen(self, index: int, lane: Lane, case: FailureCase, kept: Reopened) -> Leaf | Group:
        """Replace a member that could not be merged; the prompt of its first agent step shows what conflicts."""
        self.restarted = Restarted(case, index)
        before, self.reopened = self.reopened, kept
        node = self.member(index, lane)
        self.reopened = before
        if isinstance(node, Group):
            self.restarted = None
            node.cases, node.is_fresh, node.cause = [case], True, "restart"
        return node

    def merge(self, index: int) -> Leaf:
        """Make the step that brings what member `index` did into the tree of the group."""
        name = self.plan[index].slug if self.kind == "foreach" else self.steps[index].name
        path = merge_path(self.path, name)
        return Leaf(path, MERGE_STEP, self, index, self.items, self.lane, self.cause, Tally(), role="merge")

    def _gate(self, index: int, lane: Lane, cause: Cause) -> Leaf:
        step = gate_step(self.step)
        return Leaf(self.path.child(step.name), step, self, index, self.items, lane, cause, Tally(), role="gate")

    def _scope(self, index: int, lane: Lane, cause: Cause) -> Group:
        item = self.plan[index]
        path, items = self.path.item(item.slug), (*self.items, item)
        return Group(path, self.step, self.steps, "scope", self, index, items, lane, cause)

    def _step(self, index: int, lane: Lane, cause: Cause) -> Leaf | Group:
        step, tally = self.steps[index], self.kept.get(index) or Tally()
        path = self.path.child(step.name)
        if self.reopened is not None and self.reopened.path == path:
            tally = self.reopened.tally
        if step.kind != "group":
            return Leaf(path, step, self, index, self.items, lane, cause, tally)
        kind: Literal["group", "foreach"] = "foreach" if step.foreach is not None else "group"
        return Group(path, step, step.steps, kind, self, index, self.items, lane, cause, tally)


StepNode = Leaf | Group


def groups_above(node: StepNode) -> Iterator[Group]:
    """The groups that a node is in, innermost first."""
    group = node.parent
    while group is not None:
        yield group
        group = group.parent


def writers(node: StepNode) -> Iterator[Leaf]:
    """The steps below a node that may change the tree, last first."""
    if isinstance(node, Group):
        for member in reversed(node.members):
            yield from writers(member) if member is not None else ()
    elif node.mode == "diff":
        yield node


def writer_of(merge: Leaf) -> Leaf:
    """The last step that may have changed what a merge brings in; only members with such a step are merged."""
    return next(writers(merge.parent.entered(merge.index)))


def restart_target(node: StepNode, name: str) -> tuple[Group, StepNode]:
    """Find the earlier sibling (or `node` itself) that a restart jumps back to, with the group that holds both.

    Raises:
        ValueError: there is none of that name.
    """
    group = node.parent
    if group is not None and group.kind != "foreach":
        for sibling in group.members[: node.index + 1]:
            if sibling is not None and sibling.step.name == name:
                return group, sibling
    raise ValueError(f"cannot restart {node.path} from {name!r}: not an earlier sibling")
