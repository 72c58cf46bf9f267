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
from pytest_gump.engine.schedule.nodes import ENDS_RUN, Group, Leaf, Validation, groups_above, judged_by, top_of
from pytest_gump.engine.schedule.records import Checked, Settled, Validated
from pytest_gump.engine.schedule.targets import first_before, reopened_by, restart_target, writer_of, writers
from pytest_gump.engine.schedule.tree import StepTree
from pytest_gump.engine.schedule.view import LeafList, case_text, signature
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from pytest_gump.engine.schedule.decision import Decision
    from pytest_gump.engine.schedule.nodes import FailureCase, StepNode
    from pytest_gump.engine.schedule.parallel_pass import ParallelPass
    from pytest_gump.engine.schedule.records import AttemptVerdict, Decide, LeafState, Ready
    from pytest_gump.order import AttemptResult
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath

_VALIDATED: Final = frozenset({"step", "replan-check", "gate"})
"""Roles of the attempts whose step passes with them."""


class Schedule(StepTree):
    def __init__(self, workflow: Workflow, *, base: str) -> None:
        self._failed_leaves: list[Leaf] = []
        """Failed steps whose enclosing groups have not decided yet whether to continue."""
        self._decide: Decide = lambda _step, _path, _failures, own: own
        self._has_failed = False
        self.reason = ""
        """Why the run failed: the first failure, or what ended it from outside."""
        super().__init__(workflow, base=base)

    @property
    def done(self) -> bool:
        """True if no attempt may start any more and none is in flight."""
        return (self._has_failed or self.passed) and not self._open.has_started

    def leaves(self) -> list[LeafState]:
        """Return all steps in display order, without the parts of replans."""
        return list(self._leaves_below(self._root))

    def _leaves_below(self, group: Group) -> Iterator[LeafState]:
        return LeafList(self._attempts, self._plans, self._open.in_flight(), self._has_failed).below(group)

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
        if (owner := judged_by(leaf)) is not None and owner.validation is not None:
            owner.validation.note(path, result)
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
        last = self._settled
        if last.validated is not None:
            leaf, last = judged_by(leaf) or leaf, last.validated.settled
        if self._has_failed:
            last.failed = tuple(other.path for other in self._failed_leaves if other is not leaf)
            self._failed_leaves = []
            last.skipped, last.skip_reason = self._end(self.reason), ""
        else:
            self._skip_empty(last)
        return self._settled

    def _complete_late(self, leaf: Leaf, ready: Ready, result: AttemptResult) -> None:
        """Record an attempt that was in flight when the run failed; no attempt follows."""
        owner = judged_by(leaf)
        if owner is not None:
            self._complete_late_part(owner, leaf, ready, result)
        elif result.passed and leaf.step.validators and ready.role in _VALIDATED:
            leaf.status, self._settled.verdict, self._settled.skipped = "skipped", "judged", (leaf.path,)
        else:
            self._settle_late(leaf, ready, result)

    def _settle_late(self, leaf: Leaf, ready: Ready, result: AttemptResult) -> None:
        settled = self._settled
        if ready.path != leaf.path or leaf.replanning is not None:
            leaf.status = "skipped"
            settled.verdict = "passed" if result.passed else "again"
            settled.skipped, settled.step = (leaf.path,), leaf.path
            return
        settled.verdict = leaf.status = "passed" if result.passed else "failed"
        settled.outcome, settled.reason = result.outcome, result.reason
        settled.failed, self._failed_leaves = tuple(other.path for other in self._failed_leaves), []

    def _complete_late_part(self, owner: Leaf, leaf: Leaf, ready: Ready, result: AttemptResult) -> None:
        """Let the last attempt of the last validator settle the checked attempt; otherwise, skip the checked step."""
        if result.passed:
            self._pass(leaf, ready, result, None)
        else:
            self._fail(leaf, ready, result, None)
        self._open.drop_waiting()
        self._enterable_groups.clear()
        if self._settled.validated is None:
            owner.status, self._settled.skipped = "skipped", (owner.path,)

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
        elif leaf.step.validators:
            self._settled.verdict = "judged"
            leaf.validation = Validation(Checked(ready, commit or ready.base, result), commit)
            self._validate(leaf, leaf.validation)
        else:
            self._settle_passed(leaf, ready, result, commit)

    def _validate(self, leaf: Leaf, validation: Validation) -> None:
        """Start the next validator of an attempt, or settle the attempt if all have ended."""
        from pytest_gump.engine.schedule.validation import next_validator, result_with_answers  # most steps have none

        index = next_validator(leaf, validation)
        if index is not None:
            self._begin_validator(leaf, validation, index)
            return
        ready, result, commit = validation.checked.ready, result_with_answers(validation), validation.commit
        leaf.validation, validation.running = validation if result.outcome is Outcome.GATE_ERROR else None, None
        of_part, self._settled = self._settled, Settled()
        if self._has_failed:
            self._settle_late(leaf, ready, result)
        elif result.passed:
            self._settle_passed(leaf, ready, result, commit)
        else:
            self._fail(leaf, ready, result, commit)
        of_part.validated = Validated(ready, result, commit, self._settled)
        self._settled = of_part

    def _begin_validator(self, leaf: Leaf, validation: Validation, index: int) -> None:
        from pytest_gump.engine.schedule.validation import enter_validator  # most steps have no validators

        self._enter(enter_validator(leaf, validation, index))

    def _end_validator(self, top: Group, cases: list[FailureCase]) -> bool:
        """End a validator, with the failures that ended it, if any. Return False if the group is the root."""
        if top.owner is None or top.owner.validation is None:
            return False
        from pytest_gump.engine.schedule.validation import add_answer  # most steps have no validators

        add_answer(top, top.owner, top.owner.validation, cases)
        self._validate(top.owner, top.owner.validation)
        return True

    def _settle_passed(self, leaf: Leaf, ready: Ready, result: AttemptResult, commit: str | None) -> None:
        leaf.replanning = None
        leaf.status = "passed"
        if leaf.mode in {"diff", "merge"}:
            leaf.lane.head = commit or ready.base
        if leaf.mode == "plan" and result.plan is not None:
            self._plans.add(leaf.path, result.plan)
        if leaf.agent is not None:
            self._agents.add(leaf.path, leaf.agent)
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
        if isinstance(node, Group):
            self._end_validator(node, [])

    def _merge_on(self, group: Group, parallel: ParallelPass[Leaf, FailureCase]) -> AttemptVerdict | None:
        """Merge the next member if it has passed, and continue after the group when all members have ended.

        Return the verdict if members failed; otherwise None.
        """
        index = parallel.next_merge(group.lane.head, lambda member: any(writers(group.entered(member))))
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
        verdict: AttemptVerdict = "failed"
        owner = judged_by(leaf)
        if result.outcome in ENDS_RUN and (owner is None or result.outcome is Outcome.QUOTA):
            leaf.status, owner = "failed", None
            self._fail_run([case])
        else:
            verdict = self._conflict(leaf, case) if leaf.role == "merge" else self._follow(leaf, case)
        if ready.path != leaf.path:
            self._settled.step = leaf.path
            verdict = "failed" if verdict == "failed" else "again"
        if owner is not None and verdict == "failed":
            verdict = "again"  # the attempt that the validator checks decides
        self._settled.fail(case.failure, verdict)

    def _conflict(self, merge: Leaf, case: FailureCase) -> AttemptVerdict:
        """Restart the member on the merged tree, if the policy of its last writing step has an attempt left."""
        writer = writer_of(merge)
        decision = self._ask([case], writer, merge.attempt)
        if isinstance(decision, Stop):
            return self._stop(merge, case, merge.lane.head)
        agent = decision.agent if isinstance(decision, Retry) and decision.agent is not None else writer.agent
        self._reopen(merge, case, reopened_by(merge, writer, agent))
        return "again"

    def _follow(self, leaf: Leaf, case: FailureCase) -> AttemptVerdict:
        decision = self._ask([case], leaf, leaf.attempt)
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

    def _ask(self, cases: list[FailureCase], node: StepNode, attempt: int) -> Decision:
        is_final = any(case.is_final for case in cases)
        return Stop() if is_final else ask(cases, node, attempt, self._decide, self._settled)

    def _stop(self, leaf: Leaf, case: FailureCase, left: str) -> AttemptVerdict:
        """Give up a step; the verdict is `again` if an enclosing group may still continue."""
        verdict = self._give_up(leaf, [case], left)
        if verdict is not None:
            return verdict
        if case.is_hopeless:
            return "failed"
        if judged_by(leaf) is None:
            self._failed_leaves.append(leaf)
        return "again"

    def _give_up(self, node: StepNode, cases: list[FailureCase], left: str) -> AttemptVerdict | None:
        """Make the failure of `node` final in this pass.

        Return `again` if an enclosing group continues, or if a validator has ended; `failed` if the run has failed; or
        None while other members of a parallel group have not ended.
        """
        node.status = "failed"
        group = node.parent
        if group is None:
            if self._end_validator(top_of(node), cases):
                return "again"
            self._fail_run(cases)
            return "failed"
        if group.parallel is None or node.index == group.size:
            return self._give_up_group(group, cases, left)
        group.parallel.failures[node.index] = cases
        group.parallel.states[node.index] = "failed"
        return self._merge_on(group, group.parallel)

    def _give_up_group(self, group: Group, cases: list[FailureCase], left: str) -> AttemptVerdict | None:
        """Let the group's policy decide whether it continues; otherwise the group fails too."""
        if group.policy is not None:
            decision = self._ask(cases, group, self._attempts[group.path])
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
        first = first_before(group, target)
        group.rewind(first, target, node, case)
        target.lane.head = target.begin
        self._enter(group.member(first, target.lane))

    def _fail_run(self, cases: Sequence[FailureCase]) -> None:
        self.reason = self.reason or case_text(cases[0])
        self._has_failed = True

    def _end(self, reason: str) -> tuple[StepPath, ...]:
        self._has_failed = True
        self._open.drop_waiting()
        self._enterable_groups.clear()
        self.reason = reason
        skipped = (leaf.path for leaf in self.leaves() if leaf.status == "skipped")
        return tuple(path for path in skipped if path not in self._without_items)

    def _begin_empty(self, group: Group) -> None:
        found = (leaf.path for leaf in self._leaves_below(group) if leaf.template)
        self._newly_empty[group.path] = [path for path in found if path not in self._without_items]
        if group.has_gate:
            self._enter(group.member(0, group.lane))
        else:
            group.status = "passed"
            self._advance(group)

    def _skip_empty(self, settled: Settled) -> None:
        """Add the steps that are skipped because their plan is empty."""
        self._enter_empty_members()
        for group, paths in self._newly_empty.items():
            settled.notes.append(f"the plan is empty, so {group} has nothing to do")
            settled.skipped, settled.skip_reason = (*settled.skipped, *paths), "the plan is empty"
            self._without_items.update(paths)
        self._newly_empty.clear()

    def _enter_empty_members(self) -> None:
        """Start members of parallel groups whose first step is an empty foreach.

        They can end without an attempt, so the run could end while `ready` looks for attempts.
        """
        while True:
            group = next((group for group in self._enterable_groups if self._plans.begins_empty(group)), None)
            if group is None:
                return
            self._enter_member(group)
