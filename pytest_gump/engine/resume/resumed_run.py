"""A resumed run: in the folder of the earlier run, or in a new one from one of its steps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.refs import snapshot_ref
from pytest_gump.engine.resume.crash_recovery import is_of_killed
from pytest_gump.engine.resume.history import History
from pytest_gump.engine.resume.reuse import REFUSED, changes, replay
from pytest_gump.engine.run.earlier import Earlier
from pytest_gump.engine.run.order_builder import recheck_order
from pytest_gump.engine.run.preflight import briefly, why_not_run
from pytest_gump.engine.run.result_branch import ResultBranch
from pytest_gump.engine.run.run import Run
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.resume.crash_recovery import Found
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.engine.resume.reuse import Replay, Reuse
    from pytest_gump.engine.schedule.records import Decide, Ready, Settled
    from pytest_gump.order import AttemptResult, Made, Order
    from pytest_gump.workflow.path import StepPath


class ResumedRun(Run):
    reuse: Reuse
    """What of the past holds; set by `resume` and `start_from`."""
    _rechecked: tuple[HistoryAttempt, Ready] | None = None
    history: History
    """Of this run, with all that it books."""
    _copied: frozenset[int] = frozenset()
    """Numbers of the attempts that were copied from another run."""

    def __init__(self, *arguments: Any, history: History | None = None, **more: Any) -> None:
        """`history`: of the record, for a run that is resumed."""
        super().__init__(*arguments, **more)
        self.history = History() if history is None else history

    def _book(self, event: str, **fields: Any) -> Event:
        written = super()._book(event, **fields)
        self.history.add(written)
        return written

    # -- in place ------------------------------------------------------------------------------------------------

    def resume(self, events: Sequence[Event], found: Found, foreseen: Replay | None, **process: Any) -> None:
        """Resume this run.

        Args:
            events: all that its ledger has.
            found: what the ledger lost.
            foreseen: the replay of the history. It holds if nothing was found.
            process: our pid and its start time.
        """
        if not self.record.has_started:
            self._book_start(**process)
        idle_s, ended = self.record.idle_s, self._ended(events, found)
        for one, result in found.lost:
            self._finish(one.number, result)
        for made, result in found.unbooked:
            self._book_found(made, result)
        self._keep_interrupted()
        self._replay(None if found.lost or found.unbooked else foreseen)
        idle_s = round(idle_s + max(0.0, self._clock() - ended), 3)
        self._book(
            "run_resumed", max_budget=self.inputs.workflow.max_budget, idle_s=idle_s, **self._reuse_fields(), **process
        )
        self._branch = ResultBranch.resume(self._repository, self.record)
        self._move_branch(self.schedule.head)

    def _ended(self, events: Sequence[Event], found: Found) -> float:
        """When the last session ended, as far as its events and the files of its attempts tell; one that was killed
        while it booked what the one before it had lost was none.
        """
        last_at = next((event["at"] for event in reversed(events) if not is_of_killed(event)), 0.0)
        booked = [one.result for one in self.history.open if one.finished is not None and is_of_killed(one.finished)]
        results = [result for result in (*booked, *(result for _, result in found.lost)) if result is not None]
        return max(last_at, *(one.timings.started + one.timings.total_s for one in results), 0.0)

    def _book_found(self, made: Made, result: AttemptResult) -> None:
        """Book an attempt that the ledger lost altogether; its result tells what it was made for."""
        started = self._book(
            "attempt_started",
            number=len(self.record.attempts) + 1,
            step=result.step,
            attempt=result.attempt,
            agent=result.agent,
            **asdict(made),
        )
        self._finish(started["number"], result)

    def _keep_interrupted(self) -> None:
        """Give refs of their own to what attempts had left that will be repeated under their number."""
        for one in self.history.attempts:
            is_repeated = not one.has_ended or (one.result is not None and one.result.outcome is Outcome.QUOTA)
            if is_repeated and one.result is not None and one.result.snapshot is not None:
                ref = snapshot_ref(self.inputs.run_id, one.started["step"], one.attempt)
                with suppress(WorktreeError):  # it is gone from the repository
                    self._repository.update_ref(f"{ref}-n{one.number}", one.result.snapshot)

    def _replay(self, replayed: Replay | None = None) -> None:
        if replayed is None:
            replayed = replay(self.history, self.inputs, self.record, self._repository)
        self._continue(replayed, frozenset(one.number for one, _ in replayed.reuse.reused))

    def _continue(self, replayed: Replay, reused: frozenset[int]) -> None:
        self.schedule, self.reuse = replayed.schedule, replayed.reuse
        self.earlier = Earlier(reused, self.reuse.again, results=self.reuse.results)

    def next(self, may_start: Callable[[str], bool] | None = None) -> Order | None:
        """Like Run.next. If a stored result turns out to be stale, the new attempt gets a new number."""
        order = super().next(may_start)
        if order is None or self.earlier.result_of(order) is None:
            return order
        one = next(one for one in self.reuse.undecided if (str(one.path), one.attempt) == (order.step, order.attempt))
        if not changes(self._repository, one.started, order, order.identity):
            return order
        del self.earlier.results[order.step, order.attempt]
        self.record.attempts[one.number - 1].superseded = True
        self.schedule.count_from({}, [one.path])
        return super().next(may_start)

    def settle(self, order: Order, result: AttemptResult, decide: Decide) -> Settled:
        self.earlier.results.pop((order.step, order.attempt), None)
        return super().settle(order, result, decide)

    def _reuse_fields(self) -> dict[str, Any]:
        again = {str(path): why for path, why in self.reuse.again.items()}
        return {"reused": sorted(self.reuse.numbers), "again": again, "head": self.schedule.head}

    # -- from a step ---------------------------------------------------------------------------------------------

    def start_from(self, past: History, step: StepPath, origin: str, **start: Any) -> None:
        """Begin a new run that takes over what an earlier one did before `step`; `start` is for `start`."""
        self.start(origin=origin, **start)
        replayed = replay(
            past,
            self.inputs,
            self.record,
            self._repository,
            reuse=self._copy,
            until=step,
            end_session=self._end_copied_session,
        )
        self._continue(replayed, self._copied)
        self.earlier.results.clear()
        self._move_branch(self.schedule.head)

    def _copy(self, one: HistoryAttempt) -> None:
        """Book an attempt of the other run as reused, and keep its commits."""
        finished, decided, result = one.settled
        number = len(self.record.attempts) + 1
        self._book_as(one.started, number=number, reused=one.number)
        self._book_as(finished, number=number, folder=None)
        self._book_as(decided, number=number, head=self.schedule.head)
        self._copied |= {number}
        if result.snapshot is not None:
            ref = snapshot_ref(self.inputs.run_id, one.started["step"], one.attempt)
            self._repository.update_ref(ref, result.snapshot)
        self._keep(one.started["step"], one.attempt, result, one.commit)

    def _end_copied_session(self) -> None:
        """Record where a session of the other run ended: a failure that ended it does not end what follows."""
        self._book("session_copied", reused=sorted(self._copied))

    def _book_as(self, event: Event, **changes: Any) -> None:
        fields = {name: value for name, value in event.items() if name not in {"event", "at"}}
        self._book(event["event"], **{**fields, **changes})

    # -- the gates of what is built on ---------------------------------------------------------------------------

    def preflight(self) -> Order | None:
        """The order that checks the last reused step on its own tree; without one, the usual preflight."""
        for one, ready in reversed(self.reuse.reused):
            if one.result is None or not one.result.passed or one.commit is None:
                continue
            slot = partial(self._slots.choose, None, busy=(), living=(), wanted=None)
            order = recheck_order(self.inputs, replace(ready, base=one.commit), slot)
            if order is not None:
                self._rechecked = one, ready
                return order
        return None if self.reuse.reused else super().preflight()

    def settle_preflight(self, result: AttemptResult) -> str | None:
        """Book the check; a step whose gates do not pass any more is made again, and so is what was built on it."""
        if self._rechecked is None:
            return super().settle_preflight(result)
        one, _ = self._rechecked
        red = [gate for gate in result.gates if gate.status == "failed"]
        reason = why_not_run(result)
        reason = None if reason is None else f"{one.path} cannot be checked again: {reason}"
        self._book("recheck", number=one.number, step=str(one.path), gates=briefly(result.gates), reason=reason)
        if red and reason is None:
            self._refuse(one, "; ".join(f"{gate.name}: {gate.summary}" for gate in red))
        return reason

    def _refuse(self, one: HistoryAttempt, why: str) -> None:
        attempts = reversed(self.history.attempts)
        number = next(other.number for other in attempts if (other.path, other.attempt) == (one.path, one.attempt))
        self.history.refused.add(number)
        self._replay()
        self.reuse.again[one.path] = f"{REFUSED}: {why}"
        self.earlier.recheck = f"{one.path}: {REFUSED}: {why}"
        self._book("reuse_refused", number=number, reason=why, **self._reuse_fields())
        self._move_branch(self.schedule.head)
