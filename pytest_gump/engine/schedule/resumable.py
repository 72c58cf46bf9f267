"""A schedule that resumes a run: past attempts are fed to it again, in the order of the ledger.

A step whose failure was final when the run ended starts again from its first tree, with the declared agent and its full
number of attempts. Its prompt describes the failure. Attempt numbers continue. If only validators without a verdict
made the step fail, only their failed steps start again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.approvals import ScheduleWithApprovals
from pytest_gump.engine.schedule.attempts import check_again, next_number, restarted_attempt
from pytest_gump.engine.schedule.nodes import Group, Reopened, groups_above, top_of
from pytest_gump.engine.schedule.retry import Tally
from pytest_gump.engine.schedule.targets import writer_of
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.engine.schedule.nodes import FailureCase, Leaf, StepNode, Validation
    from pytest_gump.engine.schedule.records import Decide, Ready, Settled
    from pytest_gump.order import AttemptResult
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath


class ResumableSchedule(ScheduleWithApprovals):
    def __init__(self, workflow: Workflow, *, base: str) -> None:
        self._forgives = False
        self._had_failed = False
        super().__init__(workflow, base=base)

    @property
    def has_failed(self) -> bool:
        """True if no attempt may start any more."""
        return self._has_failed

    def open_attempt(self, path: StepPath) -> Ready | None:
        """Return the attempt of a step, or of a part of its replan, that may start now; None if there is none."""
        try:
            return self._find(path)[1]
        except ValueError:
            return None

    def replay(
        self, path: StepPath, result: AttemptResult, commit: str | None, decide: Decide, *, counts: bool = True
    ) -> Settled:
        """Process a past attempt like `complete`. If it fails the run, the failed steps start again.

        If `counts` is False, the decision is valid, but the failure does not count for the step's policy.

        Raises:
            ValueError: The attempt is not open, or the decision cannot be carried out.
        """
        tally = self._find(path)[0].tally
        self._forgives = True
        try:
            return self.complete(path, result, commit, decide)
        finally:
            self._forgives = False
            if not counts:
                tally.clear()

    def repeat(self, path: StepPath, agent: str | None = None) -> None:
        """Offer an attempt again under its own number, for `agent` if given. Its result does not count for the step."""
        leaf, ready = self._find(path)
        self._open.drop(path)
        if agent is not None:
            ready = replace(ready, agent=agent, session="fresh")
            leaf.agent = agent if path == leaf.path else leaf.agent
        self._open.add(leaf, ready)

    def count_from(self, numbers: Mapping[StepPath, int], renewed: Sequence[StepPath]) -> None:
        """Number new attempts above `numbers`; the open attempts of `renewed` get a new number too."""
        for path, number in numbers.items():
            self._attempts[path] = max(number, self._attempts.get(path, 0))
        for path in renewed:
            leaf, ready = self._find(path)
            number = next_number(self._attempts, path)
            leaf.attempt = number if path == leaf.path else leaf.attempt
            self._open.add(leaf, replace(ready, attempt=number))

    def resume(self) -> None:
        """Continue after the end of a session. If the run had failed, steps that failed after that start again too."""
        if self._had_failed:
            self._forgive([*_given_up(self._root)])
        self._had_failed = False

    def _fail_run(self, cases: Sequence[FailureCase]) -> None:
        if self._forgives:
            self._had_failed = True
            self._forgive([*cases, *_given_up(self._root)])
        else:
            super()._fail_run(cases)

    def _forgive(self, cases: Sequence[FailureCase]) -> None:
        failed = {id(case.leaf): case for case in cases}
        self._failed_leaves = [leaf for leaf in self._failed_leaves if id(leaf) not in failed]
        for case in failed.values():
            self._bring_back(case.leaf)
        for case in failed.values():
            self._begin_again(case.leaf, case)

    def _bring_back(self, leaf: Leaf) -> None:
        """Reopen the groups around a failed step."""
        node: StepNode = leaf
        for group in groups_above(leaf):
            group.status = "running"
            parallel = group.parallel
            if parallel is not None and node.index < group.size and parallel.states[node.index] == "failed":
                for merge in parallel.reopen(node.index):
                    self._open.drop(merge.path)
                group.lane.head = parallel.heads[-1]
                self._note_enterable(group, parallel)
            node = group

    def _begin_validator(self, leaf: Leaf, validation: Validation, index: int) -> None:
        cases = validation.broken.pop(index, None)
        if cases is None:
            super()._begin_validator(leaf, validation, index)
            return
        validation.running = top_of(cases[0].leaf)
        self._forgive(cases)

    def _begin_again(self, leaf: Leaf, case: FailureCase) -> None:
        if leaf.validation is not None:
            leaf.status, leaf.tally = "running", Tally()
            for index in leaf.validation.broken:
                del leaf.validation.answers[index]
            self._validate(leaf, leaf.validation)
        elif case.outcome == Outcome.GATE_ERROR and case.has_work and leaf.agent is not None and case.path == leaf.path:
            leaf.tally = Tally()
            self._start(leaf, check_again(leaf, self._attempts))
        elif leaf.role != "merge":
            leaf.tally, leaf.replanning, leaf.case = Tally(), None, case
            self._start(leaf, restarted_attempt(leaf, self._attempts))
        elif case.outcome == Outcome.CONFLICT:
            writer = writer_of(leaf).path
            self._reopen(leaf, case, Reopened(writer, None, {writer: Tally()}))
        else:
            parallel = leaf.parent.parallel_pass
            parallel.states[leaf.index] = "passed"
            if parallel.ended == leaf.index:
                self._start_merge(leaf.parent, parallel, leaf.index)


def _given_up(group: Group) -> Iterator[FailureCase]:
    """Yield the failures in parallel groups that have not ended; they become final if the run fails."""
    if group.parallel is not None:
        yield from group.parallel.cases()
    for member in group.members:
        if isinstance(member, Group):
            yield from _given_up(member)
