"""The pure state machine of a run: which attempts may start now, and what follows after each result.

It uses no I/O, no clock and no pytest. The same results and recorded decisions give the same state again, from which
`resumable` continues.

`tree` holds the rules for passed steps. After a failure, `same` continues from the files of the failed attempt. All
other entries go back to the start of the step, of the group or of the restarted step.

A parallel group decides when its last member has ended, from all failures in plan order. Until then, a failed attempt
in it has the verdict `again` if an enclosing group may still continue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from pytest_gump.engine.schedule.attempts import begin_replan, next_attempt, next_part
from pytest_gump.engine.schedule.decision import Replan, Restart, Retry, Stop
from pytest_gump.engine.schedule.failure_handling import ask, case_of, where_left
from pytest_gump.engine.schedule.nodes import Leaf, groups_above, reopened_by, restart_target, writer_of
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.tree import StepTree
from pytest_gump.engine.schedule.view import LeafList, signature
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from pytest_gump.engine.schedule.decision import Decision
    from pytest_gump.engine.schedule.nodes import FailureCase, Group, StepNode
    from pytest_gump.engine.schedule.parallel_pass import ParallelPass
    from pytest_gump.engine.schedule.records import AttemptVerdict, Decide, LeafState, Ready
    from pytest_gump.order import AttemptResult
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath

ENDS_RUN: Final = frozenset({Outcome.GATE_ERROR, Outcome.CANCELLED, Outcome.QUOTA})
"""Outcomes that end the run, because all other steps would fail for the same reason. Running attempts may finish."""


class Schedule(StepTree):
    def __init__(self, workflow: Workflow, *, base: str) -> None:
        self._failed_leaves: list[Leaf] = []
        """Failed steps whose enclosing groups have not decided yet whether to continue."""
        self._decide: Decide = lambda _step, _path, _failures, own: own
        self._has_failed = False
        self.reason = ""
        """Why the run failed; the reason of skipped steps."""
        super().__init__(workflow, base=base)

    @property
    def done(self) -> bool:
        """True if no attempt may start any more and none is in flight."""
        return (self._has_failed or self.passed) and not self._open.has_started

    def leaves(self) -> list[LeafState]:
        """Return all steps in display order, without the parts of replans."""
        leaf_list = LeafList(self._attempts, self._plans, self._open.in_flight(), self._has_failed)
        return list(leaf_list.below(self._root))

    def signature(self) -> Hashable:
        """Return the whole state that determines further decisions, as a comparable value."""
        return (self._has_failed, frozenset(self._attempts.items()), self._open.all(), signature(self._root))

    def abort(self, reason: str) -> tuple[StepPath, ...]:
        """End the run from outside, including attempts in flight; return the steps that did not end."""
        in_flight = tuple(self._open.in_flight())
        self._open.clear()
        return in_flight if self._has_failed or self.passed else self._end(reason)

    def stop(self, reason: str) -> tuple[StepPath, ...]:
        """End the run from outside, but let attempts in flight finish; return the steps that will never start."""
        return () if self._has_failed or self.passed else self._end(reason)

    def complete(self, path: StepPath, result: AttemptResult, commit: str | None, decide: Decide) -> Settled:
        """Process the result of an attempt; `commit` is the tree after it, if its step may write.

        Raises:
            ValueError: The attempt is not open, or the decision cannot be carried out (no such earlier sibling).
        """
        leaf, ready = self._find(path)
        if ready.attempt != result.attempt:
            raise ValueError(f"attempt {result.attempt} of {path} is not open")
        self._open.drop(path)
        self._decide, self._settled = decide, Settled()
        if self._has_failed:
            self._complete_late(leaf, ready, result)
            return self._settled
        if result.passed:
            self._pass(leaf, ready, result, commit)
        elif result.outcome is Outcome.CRASHED and not leaf.has_crashed:
            leaf.has_crashed = True
            self._open.add(leaf, ready)
            self._settled.verdict, self._settled.outcome = "retried", result.outcome
            self._settled.notes.append("the worker was lost: the attempt is repeated once under the same number")
        else:
            leaf.has_crashed = False
            self._fail(leaf, ready, result, commit)
        return self._close(leaf)

    def _close(self, leaf: Leaf) -> Settled:
        settled = self._settled
        if self._has_failed:
            settled.failed = tuple(other.path for other in self._failed_leaves if other is not leaf)
            self._failed_leaves = []
            settled.skipped = self._end(self.reason)
        return settled

    def _complete_late(self, leaf: Leaf, ready: Ready, result: AttemptResult) -> None:
        """Record an attempt that was in flight when the run failed; no attempt follows."""
        settled = self._settled
        if ready.path != leaf.path or leaf.replanning is not None:
            leaf.status = "skipped"
            settled.verdict = "passed" if result.passed else "again"
            settled.skipped, settled.step = (leaf.path,), leaf.path
            return
        settled.verdict = leaf.status = "passed" if result.passed else "failed"
        settled.outcome, settled.reason = result.outcome, result.reason
        settled.failed, self._failed_leaves = tuple(other.path for other in self._failed_leaves), []

    def _pass(self, leaf: Leaf, ready: Ready, result: AttemptResult, commit: str | None) -> None:
        leaf.has_crashed = False
        replanning = leaf.replanning
        if replanning is not None and ready.role != "replan-check":
            if ready.role == "replan-plan":
                replanning.plan = result.plan or ()
            else:
                replanning.index += 1
                replanning.base = commit or ready.base
            self._settled.step = leaf.path
            self._start(leaf, next_part(leaf, replanning, self._attempts))
            return
        leaf.replanning = None
        leaf.status = "passed"
        if leaf.mode in {"diff", "merge"}:
            leaf.lane.head = commit or ready.base
        if leaf.mode == "plan":
            self._plans.add(leaf.path, result.plan or ())
        self._advance(leaf)

    def _advance(self, node: StepNode) -> None:
        """Continue after a passed member: with its successor, or with the end of its group."""
        while (group := node.parent) is not None:
            if group.parallel is not None and node.index < group.size:
                is_merge = isinstance(node, Leaf) and node.role == "merge"
                group.parallel.states[node.index] = "merged" if is_merge else "passed"
                self._merge_on(group, group.parallel)
                return
            index = node.index + 1
            if index < len(group.members):
                if group.restarted is not None and index > group.restarted.until:
                    group.restarted = None
                self._enter(group.member(index, group.lane))
                return
            group.status = "passed"
            node = group

    def _merge_on(self, group: Group, parallel: ParallelPass[Leaf, FailureCase]) -> AttemptVerdict | None:
        """Merge the next member if it has passed, and continue after the group when all members have ended.

        Return the verdict if members failed; otherwise None.
        """
        index = parallel.next_merge(group.lane.head, group.may_write)
        if index is not None:
            self._start_merge(group, parallel, index)
        if not parallel.is_over:
            self._note_enterable(group, parallel)
            return None
        if parallel.failures:
            return self._give_up_group(group, parallel.cases(), group.lane.head)
        if group.has_gate:
            self._enter(group.member(group.size, group.lane))
        else:
            group.status = "passed"
            self._advance(group)
        return None

    def _fail(self, leaf: Leaf, ready: Ready, result: AttemptResult, commit: str | None) -> None:
        case = case_of(leaf, ready, result)
        if leaf.role != "merge":
            leaf.left, leaf.case, leaf.replanning = where_left(leaf, ready, result, commit), case, None
        if result.outcome in ENDS_RUN:
            leaf.status = "failed"
            self._fail_run([case])
            verdict: AttemptVerdict = "failed"
        else:
            verdict = self._conflict(leaf, case) if leaf.role == "merge" else self._follow(leaf, case)
        if ready.path != leaf.path:
            self._settled.step = leaf.path
            verdict = "failed" if verdict == "failed" else "again"
        self._settled.fail(case.failure, verdict)

    def _conflict(self, merge: Leaf, case: FailureCase) -> AttemptVerdict:
        """Restart the member on the merged tree, if the policy of its last writing step has an attempt left."""
        writer = writer_of(merge)
        decision = self._ask(case, writer, merge.attempt)
        if isinstance(decision, Stop):
            return self._stop(merge, case, merge.lane.head)
        agent = decision.agent if isinstance(decision, Retry) and decision.agent is not None else writer.agent
        self._reopen(merge, case, reopened_by(merge, writer, agent))
        return "again"

    def _follow(self, leaf: Leaf, case: FailureCase) -> AttemptVerdict:
        decision = self._ask(case, leaf, leaf.attempt)
        match decision:
            case Retry():
                failed = leaf.agent
                self._start(leaf, next_attempt(leaf, decision, self._attempts))
                return "retried" if leaf.agent == failed else "escalated"
            case Replan():
                self._start(leaf, begin_replan(leaf, decision, self._attempts))
                return "escalated"
            case Restart():
                self._restart(leaf, decision, case)
                return "again"
            case Stop():
                return self._stop(leaf, case, leaf.left)
            case _:
                assert_never(decision)

    def _ask(self, case: FailureCase, node: StepNode, attempt: int) -> Decision:
        return Stop() if case.is_final else ask(case, node, attempt, self._decide, self._settled)

    def _stop(self, leaf: Leaf, case: FailureCase, left: str) -> AttemptVerdict:
        """Give up a step; the verdict is `again` if an enclosing group may still continue."""
        verdict = self._give_up(leaf, [case], left)
        if verdict is not None:
            return verdict
        if case.is_hopeless:
            return "failed"
        self._failed_leaves.append(leaf)
        return "again"

    def _give_up(self, node: StepNode, cases: list[FailureCase], left: str) -> AttemptVerdict | None:
        """Make the failure of `node` final in this pass.

        Return `again` if an enclosing group continues, `failed` if the run has failed, or None while other members of a
        parallel group have not ended.
        """
        node.status = "failed"
        group = node.parent
        if group is None:
            self._fail_run(cases)
            return "failed"
        if group.parallel is None or node.index == group.size:
            return self._give_up_group(group, cases, left)
        group.parallel.failures[node.index] = cases
        group.parallel.states[node.index] = "failed"
        return self._merge_on(group, group.parallel)

    def _give_up_group(self, group: Group, cases: list[FailureCase], left: str) -> AttemptVerdict | None:
        """Let the group's policy decide whether it continues; otherwise the group fails too."""
        if group.policy is not None and not any(case.is_final for case in cases):
            decision = self._ask(cases[0], group, self._attempts[group.path])
            if isinstance(decision, Retry | Restart):
                self._failed_leaves = [leaf for leaf in self._failed_leaves if group not in groups_above(leaf)]
                if isinstance(decision, Restart):
                    self._restart(group, decision, cases[0])
                else:
                    group.renew(decision, cases, left)
                    self._begin_pass(group)
                return "again"
        return self._give_up(group, cases, left)

    def _restart(self, node: StepNode, decision: Restart, case: FailureCase) -> None:
        """Jump back to an earlier sibling of `node` or to `node` itself, and reset the steps from there to `node`."""
        group, target = restart_target(node, decision.step)
        target.tally.enter()
        node.tally.enter()
        node.tally.restart_list(node.policy)
        group.rewind(target, node, case)
        target.lane.head = target.begin
        self._enter(group.member(target.index, target.lane))

    def _fail_run(self, cases: Sequence[FailureCase]) -> None:
        self._has_failed = True
        self.reason = f"{cases[0].path} failed: {cases[0].outcome}"

    def _end(self, reason: str) -> tuple[StepPath, ...]:
        self._has_failed = True
        self._open.drop_waiting()
        self._enterable_groups.clear()
        self.reason = reason
        return tuple(leaf.path for leaf in self.leaves() if leaf.status == "skipped")
