"""The run-time tree of steps that the Schedule moves through.

Nodes are created when they are entered, and dropped when a new pass or a restart begins. New nodes start with zero
counts. Attempt numbers and plans must outlive the nodes, so the Schedule keeps them by path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_gump.engine.schedule.plan_sort import Waits, waits
from pytest_gump.engine.schedule.retry import Tally
from pytest_gump.order import Outcome
from pytest_gump.workflow.generated import MERGE_STEP, gate_step, has_own_gate, may_write, merge_path
from pytest_gump.workflow.path import REPLAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_gump.engine.schedule.decision import Failure, Retry
    from pytest_gump.engine.schedule.parallel_pass import ParallelPass
    from pytest_gump.engine.schedule.records import Checked, Role, StepStatus
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult, Mode, PlanItem, Verdict
    from pytest_gump.workflow.model import OnFailure, Step
    from pytest_gump.workflow.path import StepPath

Cause = Literal["first", "restart", "group"]
ENDS_RUN: Final = frozenset({Outcome.GATE_ERROR, Outcome.CANCELLED, Outcome.QUOTA})
"""Outcomes that end the run, because all other steps would fail for the same reason. Running attempts may finish.

In a validator, only a usage limit ends the run; the others are final for the step.
"""
NEVER_RETRIED: Final = ENDS_RUN | {Outcome.BUDGET, Outcome.CRASHED}
"""Outcomes that are final without a policy; `crashed` only after it was repeated once."""


@dataclass(slots=True)
class Lane:
    """A sequence of trees: each step starts at the tree after the previous one. Only a passed step moves `head`."""

    head: str


class Reopened(NamedTuple):
    """What a step and the groups around it keep if a conflict restarts their member of a parallel group."""

    path: StepPath
    agent: str | None
    tallies: Mapping[StepPath, Tally]


@dataclass(slots=True)
class Replanning:
    """An attempt of a step in parts: a plan, its items and a check."""

    base: str
    """Commit of the current tree; moves after each item."""
    plan: tuple[PlanItem, ...] = ()
    index: int = 0


@dataclass(slots=True)
class Validation:
    """The validators of an attempt, with their answers so far."""

    checked: Checked
    commit: str | None
    """Commit that the step gets if it passes."""
    running: Group | None = None
    """The steps of the validator that runs now."""
    answers: dict[int, GateResult] = field(default_factory=dict)
    """By the position of the validator in the list of the step."""
    broken: dict[int, list[FailureCase]] = field(default_factory=dict)
    """The failures that ended the validators without a verdict."""
    verdicts: dict[StepPath, Verdict] = field(default_factory=dict)
    """Newest verdict of each review in the running validator."""
    spent_s: float = 0.0

    def note(self, path: StepPath, result: AttemptResult) -> None:
        """Add an attempt of the running validator."""
        self.spent_s += result.timings.total_s
        if result.verdict is not None:
            self.verdicts[path] = result.verdict


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
    declared: str | None = None
    """Agent of the first attempt if no group is escalated; set when the step is entered."""
    agent: str | None = None
    attempt: int = 0
    left: str = ""
    """Commit after the latest failed attempt, from which `same` continues."""
    case: FailureCase | None = None
    """Latest failure of the step."""
    has_crashed: bool = False
    replanning: Replanning | None = None
    validation: Validation | None = None
    """The validators of the latest attempt, until all have given a verdict."""
    role: Role = "step"
    """`merge`: merges member `index` of a parallel group into the group's tree; `gate`: the group's own gates."""

    @property
    def policy(self) -> OnFailure | None:
        return self.step.on_failure

    @property
    def mode(self) -> Mode:
        if self.role == "merge":
            return "merge"
        if self.step.kind == "approve":
            return "approve"
        return self.step.output if self.step.kind == "agent" else "gate"

    @property
    def item(self) -> PlanItem | None:
        return self.items[-1] if self.items else None

    @property
    def validator(self) -> Group | None:
        """The steps of the running validator of the latest attempt."""
        return None if self.validation is None else self.validation.running


@dataclass(slots=True, eq=False)
class FailureCase:
    """A failed attempt, from its result to the decision and to the prompt that describes it."""

    leaf: Leaf
    path: StepPath
    """Path of the attempt: of the step, or of a part of its replan."""
    failure: Failure
    compare_trees: bool
    has_work: bool
    """True if gates could not check an agent's work, so that they can run again without the agent."""
    outcome: str
    """Outcome of the step if no attempt follows."""
    items: tuple[str, ...]
    """Plan items of the attempt; for a merge, those of the member."""

    @property
    def is_final(self) -> bool:
        """True if no policy applies, neither the step's own nor a group's."""
        return self.failure.outcome in NEVER_RETRIED

    @property
    def is_hopeless(self) -> bool:
        """True if no enclosing group can continue after it."""
        return self.is_final or not any(group.policy is not None for group in groups_above(self.leaf))

    def concerns(self, path: StepPath) -> bool:
        """True if the step has the same plan item, an outer one, or a part of it."""
        shared = min(len(path.items), len(self.items))
        return path.items[:shared] == self.items[:shared]


@dataclass(slots=True)
class Message:
    """Failures for the first agent step that they concern; `is_fresh` if its conversation must be new."""

    cases: list[FailureCase]
    is_fresh: bool


@dataclass(slots=True)
class Restarted:
    """A restart inside a group, until the group has passed the step that caused it."""

    case: FailureCase
    until: int
    """Index of the member that caused the restart."""
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
    began: str = ""
    """Commit at which the current pass began."""
    override: str | None = None
    """Agent for all agent steps of an escalated group."""
    session: Literal["policy", "resume"] = "policy"
    plan: tuple[PlanItem, ...] = ()
    members: list[Leaf | Group | None] = field(default_factory=list)
    """The declared or planned members, and after them the group's own gates, if it has any."""
    parallel: ParallelPass[Leaf, FailureCase] | None = None
    """Progress of the members of a parallel group."""
    kept: dict[int, Tally] = field(default_factory=dict)
    """Tallies that are kept over a restart, by member."""
    restarted: Restarted | None = None
    cases: list[FailureCase] = field(default_factory=list)
    """The failures that led to this pass."""
    is_fresh: bool = False
    """True if the first agent step of this pass (of each member, if parallel) starts a new conversation."""
    messages: dict[int, Message] = field(default_factory=dict)
    """Failures for each member of a parallel group, independent of the order in which the members start."""
    reopened: Reopened | None = None
    owner: Leaf | None = None
    """For the steps of a validator: the step whose attempt it checks. Such a group has no parent."""

    @property
    def policy(self) -> OnFailure | None:
        return self.step.on_failure if self.kind != "scope" else None

    @property
    def is_parallel(self) -> bool:
        return self.step.parallel and self.kind != "scope"

    @property
    def size(self) -> int:
        """Number of declared or planned members."""
        return len(self.plan) if self.kind == "foreach" else len(self.steps)

    @property
    def parallel_pass(self) -> ParallelPass[Leaf, FailureCase]:
        """The pass of a parallel group.

        Raises:
            LookupError: The group is not parallel, or has not started.
        """
        if self.parallel is None:
            raise LookupError(f"{self.path} has no parallel pass")
        return self.parallel

    def entered(self, index: int) -> StepNode:
        """Return the member with this index.

        Raises:
            LookupError: The member has not started.
        """
        member = self.members[index]
        if member is None:
            raise LookupError(f"member {index} of {self.path} has not started")
        return member

    @property
    def has_gate(self) -> bool:
        return has_own_gate(self.step) and self.kind != "scope"

    def may_write(self, index: int) -> bool:
        """True if the member can have changes to merge."""
        steps = self.steps if self.kind == "foreach" else (self.steps[index],)
        return any(map(may_write, steps))

    def waits(self) -> Waits:
        """Return which plan items wait for others."""
        return waits(self.plan, serialize=self.step.overlap == "serialize") if self.kind == "foreach" else Waits()

    def reset(self) -> None:
        """Drop all members: a new pass resets the whole subtree."""
        self.members = [None] * (self.size + self.has_gate)
        self.parallel = None
        self.messages.clear()
        self.kept.clear()
        self.restarted = None

    def message(self, index: int) -> Group | Message:
        """Return the object that holds the failures for the first agent step of a member."""
        if not self.is_parallel:
            return self
        if index not in self.messages:
            cases = [case for case in self.cases if self._may_be_for(case, index)]
            self.messages[index] = Message(cases, self.is_fresh)
        return self.messages[index]

    def _may_be_for(self, case: FailureCase, index: int) -> bool:
        """True if a failure belongs to this member, or to no member alone; `concerns` compares plan items."""
        path, depth = case.path, len(self.path.names)
        if self.kind == "foreach" or path.names[:depth] != self.path.names:
            return True
        names = [step.name for step in self.steps]
        name = path.names[depth].removesuffix(REPLAN)
        failed = path.items[-1] if name == MERGE_STEP.name and path.items else name
        return failed not in names or names[index] == failed

    def renew(self, decision: Retry, cases: list[FailureCase], left: str) -> None:
        """Prepare the next pass, granted by the group's own policy; `left` is the commit after the failed pass."""
        is_reset = decision.worktree == "reset"
        is_other = decision.agent is not None and decision.agent != self.override
        session = decision.session or ("fresh" if is_other or is_reset else "resume")
        self.override = decision.agent or self.override
        self.session = "resume" if session == "resume" else "policy"
        self.is_fresh = session == "fresh"
        self.cases = cases
        self.cause = "group"
        self.reopened = None
        self.lane.head = self.begin if is_reset else left

    def rewind(self, first: int, target: StepNode, until: StepNode, case: FailureCase) -> None:
        """Prepare a restart: keep the tallies of `target` and `until`, and drop the members from `first` to `until`.

        The tallies of steps after `until`, from which an earlier restart came, are kept too. Otherwise, two crossing
        restarts could repeat forever.
        """
        later = {index: tally for index, tally in self.kept.items() if index > until.index}
        self.kept = {**later, target.index: target.tally, until.index: until.tally}
        reach = max(until.index, self.restarted.until) if self.restarted is not None else until.index
        self.restarted = Restarted(case, reach)
        self.members[first : until.index + 1] = [None] * (until.index + 1 - first)

    def member(self, index: int, lane: Lane) -> Leaf | Group:
        """Create the member and replace an earlier one."""
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
        """Create the step that merges the changes of member `index` into the tree of the group."""
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
        if self.reopened is not None:
            tally = self.reopened.tallies.get(path, tally)
        if step.kind != "group":
            return Leaf(path, step, self, index, self.items, lane, cause, tally)
        kind: Literal["group", "foreach"] = "foreach" if step.foreach is not None else "group"
        return Group(path, step, step.steps, kind, self, index, self.items, lane, cause, tally)


StepNode = Leaf | Group


def top_of(node: StepNode) -> Group:
    """Return the outermost group: the root, or the steps of the validator that the node is part of."""
    top = node if isinstance(node, Group) else node.parent
    while top.parent is not None:
        top = top.parent
    return top


def judged_by(node: StepNode) -> Leaf | None:
    """Return the step whose attempt the node's validator checks; None outside of validators."""
    return top_of(node).owner


def groups_above(node: StepNode) -> Iterator[Group]:
    """Yield the groups that contain a node, innermost first."""
    group = node.parent
    while group is not None:
        yield group
        group = group.parent
