"""The pure state machine of a run: what may start now, and what follows from how it ended.

No I/O, no clock, no pytest. The serial loop, the xdist scheduler, the dry run and resume all drive this one object;
feeding it the same `Done`s and the recorded decisions gives the same state again.

How trees move: every step and group remembers where it began. The tree of the run advances only when a step passes;
`same` goes on from what the failed attempt left, all else goes back to where the step, the group or the restarted
step began.

Parallel groups run their members one after the other unless the schedule is made with `parallel=True` (then each
member starts at the tree where the group began; merging the results is not decided here). A failed member lets the
others finish, and its own passed steps are taken back out of the tree. What follows for the group is decided when the
first member fails, so that every report is right at once; it takes effect when the last member has ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from pytest_gump.engine.decision import Replan, Restart, Retry, Stop
from pytest_gump.engine.nodes import Group, Lane, Leaf, Verdict, restart_target
from pytest_gump.engine.schedule_asking import Asking, where_left
from pytest_gump.engine.schedule_orders import begin_replan, first_attempt, next_attempt, next_part
from pytest_gump.engine.schedule_plans import Plans
from pytest_gump.engine.schedule_records import Decide, Done, LeafState, Ready, Settled
from pytest_gump.engine.schedule_view import leaves, signature
from pytest_gump.workflow.model import Step
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pytest_gump.engine.decision import Decision
    from pytest_gump.engine.nodes import Node, Told
    from pytest_gump.engine.schedule_records import Result
    from pytest_gump.workflow.model import Workflow

__all__ = ["Decide", "Done", "LeafState", "Ready", "Schedule", "Settled"]

ENDS_RUN: Final = frozenset({"gate_error", "cancelled", "quota"})
"""The run ends there, parallel members included: the check, the user or the provider stands in the way of all."""


class Schedule:
    def __init__(self, workflow: Workflow, *, base: str, parallel: bool = False) -> None:
        self._is_concurrent = parallel
        self._attempts: dict[StepPath, int] = {}
        self._plans = Plans(workflow)
        self._open: dict[StepPath, tuple[Leaf, Ready]] = {}
        self._has_failed = False
        self.reason = ""
        """Why the run failed: the reason that skipped steps show."""
        root = Step(name=workflow.name, steps=workflow.steps)
        self._root = Group(StepPath(()), root, workflow.steps, "root", None, 0, (), Lane(base))
        self._enter(self._root)

    @property
    def done(self) -> bool:
        return self._has_failed or self.passed

    @property
    def passed(self) -> bool:
        return self._root.status == "passed"

    @property
    def head(self) -> str:
        """Commit where the run's tree stands: that of the last passed step that was not taken back."""
        return self._root.lane.head

    def ready(self) -> list[Ready]:
        """List what may start now, attempts in flight included until they are completed. Serial: at most one."""
        return [ready for _, ready in self._open.values()]

    def leaves(self) -> list[LeafState]:
        """List all steps in display order; the parts of a replan are not steps."""
        return leaves(self._root, self._attempts, self._plans, has_failed=self._has_failed)

    def signature(self) -> Hashable:
        """Everything that decides what comes next, as a value that can be compared."""
        return (self._has_failed, frozenset(self._attempts.items()), tuple(self.ready()), signature(self._root))

    def abort(self, outcome: str, reason: str) -> tuple[StepPath, ...]:
        """End the run from outside (`budget`, `cancelled`) and name the steps that did not come to an end."""
        if self.done:
            return ()
        return self._end(reason or outcome)

    def complete(self, done: Done, decide: Decide) -> Settled:
        """Take in how an attempt ended and move on.

        Raises:
            ValueError: no such attempt is open, or the decision cannot be followed (no such earlier sibling).
        """
        leaf, ready = self._open.get(done.path, (None, None))
        if leaf is None or ready is None or ready.attempt != done.attempt:
            raise ValueError(f"attempt {done.attempt} of {done.path} is not open")
        del self._open[done.path]
        settled = self._settle(leaf, ready, done, decide)
        if self._has_failed and not settled.skipped:
            settled = replace(settled, skipped=self._end(self.reason or f"{done.path} failed: {settled.outcome}"))
        return settled

    def _settle(self, leaf: Leaf, ready: Ready, done: Done, decide: Decide) -> Settled:
        if done.outcome == "passed":
            return self._pass(leaf, ready, done)
        if done.outcome == "crashed" and not leaf.has_crashed:
            leaf.has_crashed = True
            self._open[ready.path] = (leaf, ready)
            return Settled("retried", outcome="crashed", note="the worker was lost: repeated once, same number")
        leaf.has_crashed = False
        return self._fail(leaf, ready, done, decide)

    # -- passing -------------------------------------------------------------------------------------------------

    def _pass(self, leaf: Leaf, ready: Ready, done: Done) -> Settled:
        leaf.has_crashed = False
        replanning = leaf.replanning
        if replanning is not None and ready.role != "replan-check":
            if ready.role == "replan-plan":
                replanning.plan = done.plan or ()
            else:
                replanning.index += 1
                replanning.base = done.commit or ready.base
            self._start(leaf, next_part(leaf, replanning, self._number))
            return Settled("passed", step=leaf.path)
        leaf.replanning = None
        leaf.status = "passed"
        if leaf.mode == "diff":
            leaf.lane.head = done.commit or ready.base
        if leaf.mode == "plan":
            self._plans.add(leaf.path, done.plan or ())
        self._advance(leaf)
        return Settled("passed")

    def _advance(self, node: Node) -> None:
        """Go on after a member that passed: its successor, or what follows for the group it completes."""
        while (group := node.parent) is not None:
            if self._go_on(group, node):
                return
            if group.pending is not None:
                self._unwind(group, group.pending)
                return
            group.status = "passed"
            node = group

    def _go_on(self, group: Group, after: Node) -> bool:
        """Enter the next member; False when all have ended."""
        if self._is_open_at_once(group):
            group.unfinished -= 1
            return group.unfinished > 0
        index = after.index + 1
        if index == group.size:
            return False
        if group.restarted is not None and index > group.restarted.until:
            group.restarted = None
        self._enter(group.member(index, group.lane))
        return True

    def _is_open_at_once(self, group: Group) -> bool:
        return self._is_concurrent and group.is_parallel

    # -- entering ------------------------------------------------------------------------------------------------

    def _enter(self, node: Node) -> None:
        node.begin = node.lane.head
        if isinstance(node, Leaf):
            self._start(node, first_attempt(node, self._number))
            return
        if node.kind == "foreach":
            node.plan = self._plans.of(node)
        self._begin_pass(node)

    def _begin_pass(self, group: Group) -> None:
        group.status = "running"
        self._number(group.path)
        group.reset()
        if not self._is_open_at_once(group):
            self._enter(group.member(0, group.lane))
            return
        for index in range(group.size):
            self._enter(group.member(index, Lane(group.lane.head)))

    def _start(self, leaf: Leaf, ready: Ready) -> None:
        leaf.status = "running"
        self._open[ready.path] = (leaf, ready)

    def _number(self, path: StepPath) -> int:
        number = self._attempts.get(path, 0) + 1
        self._attempts[path] = number
        return number

    # -- failing -------------------------------------------------------------------------------------------------

    def _fail(self, leaf: Leaf, ready: Ready, done: Done, decide: Decide) -> Settled:
        asking = Asking.about(leaf, ready, done, decide)
        leaf.left = where_left(leaf, ready, done)
        leaf.told = asking.told
        leaf.replanning = None
        verdict: Result = "failed"
        if done.outcome in ENDS_RUN:
            leaf.status = "failed"
            self._has_failed = True
        else:
            decision = Stop() if asking.is_final else asking.ask(leaf)
            verdict = self._follow(leaf, decision, asking)
        if ready.path == leaf.path:
            return asking.settled(verdict, done)
        return replace(asking.settled(verdict if verdict == "failed" else "again", done), step=leaf.path)

    def _follow(self, leaf: Leaf, decision: Decision, asking: Asking) -> Result:
        match decision:
            case Retry():
                ready = next_attempt(leaf, decision, self._number)
                self._start(leaf, ready)
                return "escalated" if ready.entry == "escalate" else "retried"
            case Replan():
                self._start(leaf, begin_replan(leaf, decision, self._number))
                return "escalated"
            case Restart():
                self._restart(leaf, decision, asking.told)
                return "again"
            case Stop():
                verdict = self._climb(leaf, asking)
                self._unwind_from(leaf, verdict, leaf.left)
                return "failed" if verdict.decider is None else "again"
            case _:
                assert_never(decision)

    def _climb(self, leaf: Leaf, asking: Asking) -> Verdict:
        """Ask the enclosing groups, innermost first, until one goes on."""
        group: Group | None = leaf.parent
        while group is not None:
            if group.pending is not None:
                group.pending.told.append(asking.told)
                return group.pending
            if group.policy is not None and not asking.is_final:
                decision = asking.ask(group, attempt=self._attempts[group.path])
                if isinstance(decision, Retry | Restart):
                    return Verdict(group, decision, [asking.told])
            group = group.parent
        return Verdict(None, Stop(), [asking.told])

    def _unwind_from(self, node: Node, verdict: Verdict, left: str) -> None:
        """Let `node` fail for good in this pass, and all above it up to the group that goes on."""
        while True:
            node.status = "failed" if verdict.decider is None else "pending"
            group = node.parent
            if group is None:
                self._has_failed = True
                return
            if group.is_parallel:
                group.pending = verdict
                if not self._is_open_at_once(group):
                    group.lane.head = left = node.begin
                if self._go_on(group, node):
                    return
            if group is verdict.decider:
                self._go_again(group, verdict, left)
                return
            node = group

    def _unwind(self, group: Group, verdict: Verdict) -> None:
        """Do what was decided when a member of `group` failed: the other members have ended now."""
        if group is verdict.decider:
            self._go_again(group, verdict, group.lane.head)
        else:
            self._unwind_from(group, verdict, group.lane.head)

    def _go_again(self, group: Group, verdict: Verdict, left: str) -> None:
        match verdict.decision:
            case Restart() as restart:
                self._restart(group, restart, verdict.told[0])
            case Retry() as retry:
                group.renew(retry, verdict.told, left)
                self._begin_pass(group)
            case Stop():
                raise ValueError(f"{group.path} was to stop, not to go on")

    def _restart(self, node: Node, decision: Restart, told: Told) -> None:
        """Jump back to an earlier sibling of `node` or to itself; what lies after it, up to `node`, is new again."""
        group, target = restart_target(node, decision.step)
        target.tally.enter()
        node.tally.enter()
        node.tally.restart_list(node.policy)
        group.rewind(target, node, told)
        target.lane.head = target.begin
        self._enter(group.member(target.index, target.lane))

    def _end(self, reason: str) -> tuple[StepPath, ...]:
        self._has_failed = True
        self._open.clear()
        self.reason = reason
        return tuple(leaf.path for leaf in self.leaves() if leaf.status == "skipped")
