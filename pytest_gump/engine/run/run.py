"""A run in progress: create orders, accept results, write events to the ledger, and move the run's branch.

The module does not use pytest. The caller that executes orders (the serial loop, xdist workers, a test) calls `next`
and `begin`, executes the order unless `refuse` returns a result, and then calls `finish_attempt` and `settle`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.ledger import FORMAT
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.engine.run.budget import refusal, run_is_over, spent_out
from pytest_gump.engine.run.commits import change, commit_after, keep
from pytest_gump.engine.run.journal import Journal, decision_fields, validated_fields
from pytest_gump.engine.run.order_builder import OrderBuilder
from pytest_gump.engine.run.preflight import PREFLIGHT, briefly, preflight_notes, preflight_order, why_not_run
from pytest_gump.engine.run.quota import Quota, Repeat, met_limit
from pytest_gump.engine.run.result_branch import ResultBranch
from pytest_gump.engine.run.reuse import Reuse
from pytest_gump.engine.run.shared_budget import SharedBudget
from pytest_gump.engine.run.slot_choice import SlotChoice
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.errors import RunError
from pytest_gump.order import AttemptResult, Order, Outcome, to_wire
from pytest_gump.system.git.ref_names import branch_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_gump.agents.usage import Usage
    from pytest_gump.engine.record.approvals import Given
    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.engine.run.shared_budget import SpentOut
    from pytest_gump.engine.schedule.records import Decide, Ready
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.pool import SlotPool
    from pytest_gump.workflow.path import StepPath


CHANGED_NAMES = 20
"""Maximum number of recorded paths that changed in the user's checkout."""


class Run:
    """A run in progress. It exists only in the controller."""

    def __init__(
        self,
        inputs: RunInputs,
        folder: RunFolder,
        repository: Repository,
        clock: Callable[[], float],
        *,
        pool: SlotPool,
        record: RunRecord | None = None,
    ) -> None:
        """Prepare the run.

        Args:
            clock: Time of events, from which durations are computed.
            pool: Leases worktree slots to the run until it ends.
            record: The record of the run, if it is resumed.
        """
        self.inputs = inputs
        self.folder = folder
        self.schedule = ResumableSchedule(inputs.workflow, base=inputs.base)
        self.record = RunRecord() if record is None else record
        self.reuse = Reuse()
        self.quota = Quota(inputs.settings)
        """Shared by all runs of the session."""
        self._clock = clock
        self._repository = repository
        self._builder = OrderBuilder(inputs, self.record, repository)
        self._journal = Journal(folder, clock)
        self._slots = SlotChoice(pool)
        self._ready: dict[str, Ready] = {}
        self._shared = SharedBudget()
        self._in_flight: dict[str, Order] = {}
        """Orders that have started and are not settled, by step."""
        self._branch: ResultBranch
        self._refusal = ""
        """Why no step may start; empty if steps may start."""

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self, *, header: dict[str, Any], pid: int, pid_created: float, origin: str | None = None) -> None:
        """Write the header and the first event, and create the run's branch at its base."""
        inputs = self.inputs
        self.folder.write_header({"format": FORMAT, **header}, inputs.copies)
        self._branch = ResultBranch.begin(self._repository, inputs.run_id, inputs.base)
        self._append_start(pid=pid, pid_created=pid_created, origin=origin)

    def _append_start(self, **more: Any) -> None:
        inputs = self.inputs
        self._append(
            "run_started",
            run_id=inputs.run_id,
            workflow=inputs.workflow.name,
            spec=inputs.spec_name,
            base=inputs.base,
            branch=branch_name(inputs.run_id),
            max_budget=inputs.workflow.max_budget,
            **more,
        )

    def _move_branch(self, commit: str) -> None:
        left, name = self._branch.move(commit), self.record.branch
        if left is not None:
            self._append("branch_left", branch=name, why=left, kept=self._branch.name)

    @property
    def done(self) -> bool:
        return self.schedule.done

    def finish(self, *, cancelled: bool = False, reason: str = "", checkout_changed: Sequence[str] = ()) -> None:
        """Record the end of the run and close the ledger. Steps that did not run are recorded as skipped."""
        if not self.schedule.done:
            cancelled, reason = True, reason or "the session was stopped"
            self._skip(self.schedule.abort(reason), reason)
        status = "awaiting" if self.schedule.is_awaiting else "passed" if self.schedule.passed else "failed"
        status, reason = "cancelled" if cancelled else status, reason or self._refusal
        if status == "awaiting":
            reason = self.schedule.reason
        if lost := self._journal.check():
            status, reason = "failed", lost
        head, changed = self.schedule.head, [*checkout_changed[:CHANGED_NAMES]]
        ended = {"status": status, "reason": reason, "head": head, "branch": self._branch.end()}
        sums = change(self._repository, self.inputs.base, head)
        self._append("run_finished", **ended, **sums, checkout_changed=changed)
        self._journal.close()

    # -- orders --------------------------------------------------------------------------------------------------

    def preflight(self) -> Order | None:
        """Return the order that runs the gate commands on the base; None if the workflow has none."""
        return preflight_order(self.inputs, partial(self._slots.choose, None, busy=(), living=(), wanted=None))

    def settle_preflight(self, result: AttemptResult) -> str | None:
        """Record the preflight; return why the run cannot continue, or None."""
        red = [gate.name for gate in result.gates if gate.status == "failed"]
        reason = why_not_run(result)
        gates, took = briefly(result.gates), result.timings.total_s
        notes = [*result.notes, *preflight_notes(result.gates)]
        self._append("preflight", gates=gates, red=red, reason=reason, notes=notes, duration_s=took)
        return reason

    def end_at_preflight(self, reason: str) -> tuple[StepPath, ...]:
        """End the run before any step starts; return the skipped steps."""
        self._refusal = f"{PREFLIGHT}: {reason}"
        skipped = self.schedule.stop(self._refusal)
        self._skip(skipped, self._refusal)
        return skipped

    def next(self, may_start: Callable[[str], bool] | None = None) -> Order | None:
        """Return the next order that may start, in plan order; None if there is none.

        `may_start` returns True for the agents that may start. Orders of other agents are skipped.
        """
        if lost := self._journal.check():
            self._skip(self.schedule.stop(lost), lost)
        waiting = self.schedule.ready(1 if may_start is None else None)
        free = (ready for ready in waiting if ready.agent is None or may_start is None or may_start(ready.agent))
        ready = next(free, None)
        workflow, record = self.inputs.workflow, self.record
        if ready is None or (ready.agent and self._shared.must_wait(workflow, ready.step, ready.path, record)):
            return None
        self._ready[str(ready.path)] = ready
        side = partial(self._slots.choose_side, self._busy_slots)
        return self._builder.build(ready, partial(self._slot_for, ready.path), side)

    def _slot_for(self, path: StepPath, wanted: str | None) -> str:
        member, living = self.schedule.member_of(path), self.schedule.living()
        kept = {*living, None} if path.validator else living
        return self._slots.choose(member, busy=self._busy_slots, living=kept, wanted=wanted)

    @property
    def _busy_slots(self) -> set[str]:
        return {slot for order in self._in_flight.values() for slot in order.slots}

    def abandon_slot(self, name: str) -> None:
        """Never use the slot again: a process of a lost attempt may still be running in it."""
        self._slots.abandon(name)

    def begin(self, order: Order) -> AttemptRecord:
        """Record the start of the attempt."""
        ready = self._ready[order.step]
        self.schedule.start(ready.path)
        self._in_flight[order.step] = order
        self._shared.begin(order, ready.step)
        if self.reuse.result_of(order) is not None:
            return self._record_of(order)
        self._append(
            "attempt_started",
            number=len(self.record.attempts) + 1,
            session_resumed=order.session is not None,
            theirs=order.theirs,
            **order.made.started(order),
        )
        return self.record.attempts[-1]

    def share(self, quota: Quota) -> Iterator[str]:
        """Use the usage limits of the session. Yield messages about limits that an earlier session reached."""
        self.quota = quota
        for ready in self.schedule.ready():
            number, limited = met_limit(self.inputs, self.record, ready, self._clock())
            known = None if limited is None else quota.recall(limited)
            if isinstance(known, Repeat):
                self._append("limit_recalled", number=number, until=known.until)
                yield known.why
            elif known is not None:
                yield known

    def refuse(self, order: Order) -> AttemptResult | None:
        """Return a result for an order that must not start: an input is not valid, or its budget is spent."""
        wrong = self._builder.wrong_input(self._ready[order.step])
        if wrong is not None:
            return AttemptResult.not_made(order, Outcome.GATE_ERROR, wrong, started=self._clock())
        is_free = order.agent is None
        reason = None if is_free else refusal(self.inputs.workflow, self.record, order.limits)
        return None if reason is None else AttemptResult.not_made(order, Outcome.BUDGET, reason, started=self._clock())

    def on_usage(self, order: Order, usage: Usage) -> SpentOut | None:
        """Record the usage of a running attempt. If a shared limit is reached, return which attempts must stop."""
        self._shared.on_usage(order, usage)
        return self._shared.spent_out(self.inputs.workflow, order, self.record)

    def carry_out(self, order: Order) -> AttemptResult | None:
        """Carry out a merge or an approval step in the controller. Return None for other orders."""
        if order.mode == "approve":
            from pytest_gump.engine.run.approvals import nothing_to_do  # only for approval steps

            return nothing_to_do(order, self._repository, self._clock())
        if order.mode != "merge":
            return None
        from pytest_gump.engine.run.merging import merge  # only for parallel steps

        return merge(order, self._repository, f"{self.inputs.workflow.name} on {self.inputs.spec_name}")

    # -- results -------------------------------------------------------------------------------------------------

    def finish_attempt(self, order: Order, result: AttemptResult) -> AttemptRecord:
        """Move the attempt's files into the run's folder and record its result; `settle` decides afterwards."""
        record = self._record_of(order)
        if self.reuse.result_of(order) is not None:
            return record
        self._finish(record.number, result, self._presumed_usd(order, result))
        return record

    def _finish(self, number: int, result: AttemptResult, presumed_usd: float | None = None) -> Event:
        """Record a result with the name of its folder in the run.

        Raises:
            RunError: The files cannot be moved into the run. The result is recorded nevertheless.
        """
        folder, failed = None, None
        self._journal.check()
        if result.scratch is not None:
            try:
                folder = self.folder.take_artifacts(
                    Path(result.scratch), number=number, step=result.step, attempt=result.attempt
                )
            except RunError as error:
                failed = error
        result = replace(result, scratch=None, made=None)
        event = self._append(
            "attempt_finished", number=number, folder=folder, result=to_wire(result), presumed_usd=presumed_usd
        )
        self.record.attempts[number - 1].set_result(result)
        if failed is not None:  # the cost is recorded first
            raise failed
        return event

    def _presumed_usd(self, order: Order, result: AttemptResult) -> float | None:
        """Return the presumed cost of an attempt whose worker was lost before it reported a cost: its whole limit.

        Other stopped or killed attempts have reported the cost of all answers except the last one.
        """
        is_lost = order.agent is not None and result.outcome is Outcome.CRASHED
        is_allowed = self.inputs.settings.unknown_cost == "allow"
        unknown = is_lost and result.usage.cost_usd is None
        return order.limits.max_budget if unknown and not is_allowed else None

    def settle(self, order: Order, result: AttemptResult, decide: Decide) -> Settled:
        """Decide what follows and record it. The change of a passed attempt becomes a commit of the run's branch.

        If a person must approve the work first, the attempt waits for `answer`.
        """
        self._in_flight.pop(order.step)
        self._shared.end(order)
        reason = run_is_over(order, result, self.inputs.workflow, self.record)
        never = () if reason is None else self.schedule.stop(reason)
        self._skip(never, reason or "")
        settled = self._settle(order, result, decide)
        settled.skipped = (*never, *settled.skipped)
        return settled

    def answer(self, order: Order, result: AttemptResult, decide: Decide, given: Given) -> Settled:
        """Record a person's answer about an attempt that waits for it, and decide what follows."""
        question = self.record.approvals.questions[self._record_of(order).number]
        self._append("approval", **given.about(question))
        self.schedule.release(self._ready[order.step].path)
        return self._settle(order, result, decide)

    def _settle(self, order: Order, result: AttemptResult, decide: Decide) -> Settled:
        ready, record = self._ready[order.step], self._record_of(order)
        answered: dict[str, Any] = {}
        if ready.step.approve is not None or ready.step.hitl is not None:
            from pytest_gump.engine.run.approvals import reviewed  # only for steps that a person must approve

            question, result, answered = reviewed(
                self.record, ready, order, result, repository=self._repository, now=self._clock()
            )
            if question is not None:
                self._append("awaiting", **question._asdict())
                return self.schedule.hold(ready.path)
        del self._ready[order.step]
        commit = commit_after(order, result, self.inputs, self._repository)
        if not result.gates_due:
            keep(self._repository, self.inputs.run_id, (order.step, order.attempt), result, commit)
        again = self._again(order, result)
        if isinstance(again, Repeat):
            self.schedule.repeat(ready.path, again.agent)
            settled = Settled(again.verdict, result.outcome, notes=[again.why])
        elif result.passed and result.gates_due:
            settled = self.schedule.split(ready.path, commit)
        else:
            settled = self.schedule.complete(ready.path, result, commit, decide)
            settled.notes += [again] if again else []
            if (validated := settled.validated) is not None:
                from pytest_gump.engine.checks.independence import not_independent  # only for validators

                checked, models_of = validated.ready, self.inputs.models_of
                validated.settled.notes += not_independent(checked.path, checked.step, self.record, models_of)
        if settled.verdict == "judged":
            self._append("attempt_judged", number=record.number, commit=commit)
        else:
            self._append(
                "decided",
                **decision_fields(record.number, settled, result, commit),
                replanned=str(settled.step) if settled.step else None,
                head=self.schedule.head,
                **answered,
                **({"agent": again.agent, "until": again.until} if isinstance(again, Repeat) else {}),
                **validated_fields(settled.validated, self._record_of_attempt),
            )
        self._move_branch(self.schedule.head)
        for each in settled.settlements:
            self._skip(each.skipped, each.skip_reason or self.schedule.reason or f"{ready.path} did not pass")
        return settled

    def end_if_stalled(self) -> Settled | None:
        """End the run if no step can start until a person answers; return which steps are given up and skipped."""
        settled = self.schedule.end_if_stalled()
        if settled is not None:
            self._append("stalled", failed=[str(path) for path in settled.failed])
            self._skip(settled.skipped, self.schedule.reason)
        return settled

    def _again(self, order: Order, result: AttemptResult) -> Repeat | str | None:
        """Return how an attempt that reached a usage limit is repeated, or why it is not; otherwise None."""
        if order.agent is None:
            return None
        cli = self.inputs.cli_of(order.agent)
        if result.outcome is not Outcome.QUOTA:
            if result.usage.turns:
                self.quota.passed(cli)
            return None
        if self.schedule.has_failed or spent_out(self.inputs.workflow, self.record) is not None:
            return None
        return self.quota.again(order, result, order.agent, cli, self._clock())

    def _record_of(self, order: Order) -> AttemptRecord:
        """Return the newest record of the attempt: a crashed attempt is repeated under its own number."""
        return self._record_of_attempt(order.step, order.attempt)

    def _record_of_attempt(self, step: str, number: int) -> AttemptRecord:
        attempts = reversed(self.record.attempts)
        return next(attempt for attempt in attempts if (attempt.step, attempt.attempt) == (step, number))

    def _skip(self, paths: tuple[StepPath, ...], reason: str) -> None:
        """Record skipped steps; `reason` applies to those outside of parallel members that failed."""
        for why, skipped in self.schedule.by_reason(paths, reason):
            self._append("skipped", steps=[str(path) for path in skipped], reason=why)

    def _append(self, event: str, **fields: Any) -> Event:
        written = self._journal.append(event, **fields)
        advance(self.record, written)
        return written
