"""A resumed run: in the folder of the earlier run, or as a new run that starts from one of its steps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.approvals import answered_at
from pytest_gump.engine.record.refs import snapshot_ref
from pytest_gump.engine.resume.crash_recovery import is_recovered
from pytest_gump.engine.resume.history import History
from pytest_gump.engine.resume.replay import REFUSED, changes, replay
from pytest_gump.engine.run.commits import keep
from pytest_gump.engine.run.preflight import briefly, recheck_order, why_not_run
from pytest_gump.engine.run.result_branch import ResultBranch
from pytest_gump.engine.run.reuse import Reuse
from pytest_gump.engine.run.run import Run
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.resume.crash_recovery import Recovered
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.engine.resume.replay import Replay
    from pytest_gump.engine.schedule.records import Decide, Ready, Settled
    from pytest_gump.engine.schedule.resumable import ResumableSchedule
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.path import StepPath


class ResumedRun(Run):
    _replayed: Replay
    """The replay of the history; set by `resume` and `start_from`."""
    _rechecked: tuple[HistoryAttempt, Ready] | None = None
    history: History
    """History of this run, including new events."""
    _copied: frozenset[int] = frozenset()
    """Numbers of the attempts that were copied from another run."""

    def __init__(self, *arguments: Any, history: History | None = None, **more: Any) -> None:
        """`history` is the run's own history if it is resumed; None for a new run."""
        super().__init__(*arguments, **more)
        self.history = History() if history is None else history
        self._copied_numbers: dict[int, int] = {}
        """Numbers in this run of the attempts that were copied from another run, by their numbers there."""

    def _append(self, event: str, **fields: Any) -> Event:
        written = super()._append(event, **fields)
        self.history.add(written)
        return written

    # -- in place ------------------------------------------------------------------------------------------------

    def resume(self, events: Sequence[Event], recovered: Recovered, replayed: Replay | None, **process: Any) -> None:
        """Resume this run.

        Args:
            events: The events of its ledger.
            recovered: Results that are missing in the ledger.
            replayed: The replay of the history; used only if nothing was recovered.
            process: Pid and start time of this process.
        """
        if not self.record.has_started:
            self._append_start(**process)
        idle_s, ended = self.record.idle_s, self._ended(events, recovered)
        for attempt, result in recovered.lost:
            self._finish(attempt.number, result)
        for started, result in recovered.unrecorded:
            number = len(self.record.attempts) + 1
            self._append("attempt_started", number=number, **started)
            self._finish(number, result)
        self._keep_interrupted()
        self._replay(None if recovered.lost or recovered.unrecorded else replayed)
        idle_s = round(idle_s + max(0.0, self._clock() - ended), 3)
        self._append(
            "run_resumed", max_budget=self.inputs.workflow.max_budget, idle_s=idle_s, **self._reuse_fields(), **process
        )
        self._branch = ResultBranch.resume(self._repository, self.record)
        self._move_branch(self.schedule.head)

    def _ended(self, events: Sequence[Event], recovered: Recovered) -> float:
        """Return when the last session ended (seconds since the epoch), from its events and the files of its attempts.

        Ignores a session that was killed while it recorded the recovered results of an earlier one.
        """
        of_session = (event for event in reversed(events) if event["event"] != "approval" and not is_recovered(event))
        last_at = next((event["at"] for event in of_session), 0.0)
        open_attempts = ((attempt.result, attempt.finished) for attempt in self.history.open)
        recorded = [result for result, event in open_attempts if event is not None and is_recovered(event)]
        results = [result for result in (*recorded, *(result for _, result in recovered.lost)) if result is not None]
        return max(last_at, *(result.timings.started + result.timings.total_s for result in results), 0.0)

    def _keep_interrupted(self) -> None:
        """Keep the commits of interrupted attempts under separate refs: the attempts run again with these numbers."""
        for attempt in self.history.attempts:
            result = attempt.result
            if result is None or result.snapshot is None or (attempt.has_ended and result.outcome is not Outcome.QUOTA):
                continue
            ref = snapshot_ref(self.inputs.run_id, *attempt.key)
            with suppress(WorktreeError):  # the commit is gone from the repository
                self._repository.update_ref(f"{ref}-n{attempt.number}", result.snapshot)

    def _replay(self, replayed: Replay | None = None) -> None:
        if replayed is None:
            replayed = replay(self.history, self.inputs, self.record, self._repository)
        self._continue(replayed, frozenset(attempt.number for attempt, _ in replayed.reused))
        stored = ((attempt.key, attempt.result) for attempt in replayed.undecided)
        self.reuse.results = {key: result for key, result in stored if result is not None}

    def _continue(self, replayed: Replay, reused: frozenset[int]) -> None:
        self.schedule, self._replayed = replayed.schedule, replayed
        self.reuse = Reuse(reused, replayed.reruns)

    def next(self, may_start: Callable[[str], bool] | None = None) -> Order | None:
        """Like `Run.next`. If the stored result of the attempt is out of date, the attempt gets a new number."""
        order = super().next(may_start)
        if order is None or self.reuse.result_of(order) is None:
            return order
        attempt = next(attempt for attempt in self._replayed.undecided if attempt.key == (order.step, order.attempt))
        if not changes(self._repository, attempt.started, order, order.identity):
            return order
        del self.reuse.results[order.step, order.attempt]
        self.record.attempts[attempt.number - 1].superseded = True
        self.schedule.count_from({}, [attempt.path])
        return super().next(may_start)

    def settle(self, order: Order, result: AttemptResult, decide: Decide) -> Settled:
        self.reuse.results.pop((order.step, order.attempt), None)
        return super().settle(order, result, decide)

    def _reuse_fields(self) -> dict[str, Any]:
        again = {str(path): why for path, why in self._replayed.reruns.items()}
        validating = self._validating(self.schedule)
        return {
            "reused": sorted(self._replayed.numbers), "again": again, "validating": validating,
            "head": self.schedule.head,
        }  # fmt: skip

    def _validating(self, schedule: ResumableSchedule) -> list[int]:
        """Return the numbers of the reused attempts whose validators have not all ended."""
        paths = (str(leaf.path) for leaf in schedule.leaves() if leaf.validators is not None)
        valid = ([each for each in self.record.steps[path].attempts if not each.superseded] for path in paths)
        return [attempts[-1].number for attempts in valid]

    # -- from a step ---------------------------------------------------------------------------------------------

    def start_from(self, past: History, step: StepPath, origin: str, **start: Any) -> None:
        """Start a new run that reuses the results of an earlier run before `step`. Passes `start` to `Run.start`."""
        self.start(origin=origin, **start)
        for approval in past.approvals:
            self._append_as(approval, answered=answered_at(approval))
        replayed = replay(
            past,
            self.inputs,
            self.record,
            self._repository,
            on_reuse=self._copy,
            until=step,
            end_session=self._end_copied_session,
        )
        self._continue(replayed, self._copied)
        self._move_branch(self.schedule.head)

    def _copy(self, attempt: HistoryAttempt) -> None:
        """Record an attempt of the other run as reused, and keep its commits."""
        finished, decided, result = attempt.settled
        number = len(self.record.attempts) + 1
        self._append_as(attempt.started, number=number, reused=attempt.number)
        self._append_as(finished, number=number, folder=None)
        self._copied_numbers[attempt.number] = number
        self._append_as(self._with_copied_number(decided), number=number, head=self.schedule.head)
        self._copied |= {number}
        if result.snapshot is not None:
            ref = snapshot_ref(self.inputs.run_id, attempt.started["step"], attempt.attempt)
            self._repository.update_ref(ref, result.snapshot)
        key = (attempt.started["step"], attempt.attempt)
        keep(self._repository, self.inputs.run_id, key, result, attempt.commit)

    def _with_copied_number(self, decided: Event) -> Event:
        """Return a decision with the number in this run of the attempt whose last validator ended with it."""
        validated = decided.get("validated")
        if validated is None:
            return decided
        return {**decided, "validated": {**validated, "number": self._copied_numbers[validated["number"]]}}

    def _end_copied_session(self, schedule: ResumableSchedule) -> None:
        """Record the end of a session of the other run, so that a failure that ended it does not end this run."""
        self._append("session_copied", reused=sorted(self._copied), validating=self._validating(schedule))

    def _append_as(self, event: Event, **changes: Any) -> None:
        fields = {name: value for name, value in event.items() if name not in {"event", "at"}}
        self._append(event["event"], **{**fields, **changes})

    # -- the gates of the last reused step -----------------------------------------------------------------------

    def preflight(self) -> Order | None:
        """Return the order that checks the last reused step on its own tree, or the usual preflight without one."""
        for attempt, ready in reversed(self._replayed.reused):
            result = attempt.result
            if result is None or not result.passed or result.gates_due or attempt.commit is None:
                continue
            slot = partial(self._slots.choose, None, busy=(), living=(), wanted=None)
            order = recheck_order(self.inputs, replace(ready, base=attempt.commit), slot)
            if order is not None:
                self._rechecked = attempt, ready
                return order
        return None if self._replayed.reused else super().preflight()

    def settle_preflight(self, result: AttemptResult) -> str | None:
        """Record the check. If the step's gates no longer pass, it runs again with all steps that depend on it."""
        if self._rechecked is None:
            return super().settle_preflight(result)
        attempt, _ = self._rechecked
        red = [gate for gate in result.gates if gate.status == "failed"]
        reason = why_not_run(result)
        reason = None if reason is None else f"{attempt.path} cannot be checked again: {reason}"
        gates = briefly(result.gates)
        self._append("recheck", number=attempt.number, step=str(attempt.path), gates=gates, reason=reason)
        if red and reason is None:
            self._refuse(attempt, "; ".join(f"{gate.name}: {gate.summary}" for gate in red))
        return reason

    def _refuse(self, attempt: HistoryAttempt, why: str) -> None:
        attempts = reversed(self.history.attempts)
        number = next(other.number for other in attempts if other.key == attempt.key)
        self.history.refused.add(number)
        self._replay()
        self._replayed.reruns[attempt.path] = f"{REFUSED}: {why}"
        self.reuse.recheck = f"{attempt.path}: {REFUSED}: {why}"
        self._append("reuse_refused", number=number, reason=why, **self._reuse_fields())
        self._move_branch(self.schedule.head)
