"""A resumed run: in the folder of the earlier run, or in a new one from one of its steps."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.streams.resets import sane
from pytest_gump.engine.attempt.snapshots import snapshot_ref
from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.resume.crash_recovery import is_of_killed
from pytest_gump.engine.resume.history import HistoryAttempt, read_history
from pytest_gump.engine.resume.reuse import REFUSED, changes, take_up
from pytest_gump.engine.run.order_builder import recheck_order
from pytest_gump.engine.run.preflight import briefly, why_not_run
from pytest_gump.engine.run.quota import Again, Limited
from pytest_gump.engine.run.result_branch import ResultBranch
from pytest_gump.engine.run.run import Run
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.resume.crash_recovery import Found
    from pytest_gump.engine.resume.history import History
    from pytest_gump.engine.resume.reuse import Reuse
    from pytest_gump.engine.run.quota import Quota
    from pytest_gump.engine.run.run import Booked
    from pytest_gump.engine.schedule.schedule import Decide, Ready
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.path import StepPath


class ResumedRun(Run):
    reuse: Reuse
    """What of the past holds; set by `resume` and `start_from`."""
    _last_at: float = 0.0
    """When the ledger was last written to, but for what a session books of the one before it."""
    _rechecked: tuple[HistoryAttempt, Ready] | None = None
    _at_hand: dict[tuple[str, int], HistoryAttempt]
    """Attempts that came to their end, but nothing was decided any more: by step and attempt."""

    # -- in place ------------------------------------------------------------------------------------------------

    def read(self) -> History:
        """Read the run's own ledger, before `resume`.

        Raises:
            RunError: the ledger is missing or was changed by something else.
        """
        events = [*read_ledger(self.folder.ledger)]
        for event in events:
            advance(self.record, event)
            if not is_of_killed(event):
                self._last_at = event["at"]
        return read_history(events)

    def resume(self, past: History, found: Found, **process: Any) -> None:
        """Go on with this run. `found`: what the ledger does not tell; `process`: our pid and its start time."""
        if not self.record.run_id:
            self._book_start(**process)
        idle_s, ended = self.record.idle_s, self._ended(past, found)
        for one, result in found.lost:
            one.finished = self._finish(one.number, result)
        for result in found.unbooked:
            self._book_found(past, result)
        self._keep_interrupted(past)
        self._take_up(past, self._mark)
        idle_s = round(idle_s + max(0.0, self._clock() - ended), 3)
        self._book("run_resumed", max_budget=self.inputs.workflow.max_budget, idle_s=idle_s, **self._told(), **process)
        self._branch = ResultBranch.resume(self._repository, self.record)
        self._move_branch(self.schedule.head)

    def _ended(self, past: History, found: Found) -> float:
        """When the last session ended, as far as its events and the files of its attempts tell; one that was killed
        while it booked what the one before it had lost was none.
        """
        booked = [one.result for one in past.open if one.finished is not None and is_of_killed(one.finished)]
        results = [result for result in (*booked, *(result for _, result in found.lost)) if result is not None]
        return max(self._last_at, *(one.timings.started + one.timings.total_s for one in results), 0.0)

    def _book_found(self, past: History, result: AttemptResult) -> None:
        """Book an attempt that the ledger lost altogether; its result tells what it was made for."""
        made = result.made
        assert made is not None  # noqa: S101 - only such results are found
        started = self._book(
            "attempt_started",
            number=len(self.record.attempts) + 1,
            step=result.step,
            attempt=result.attempt,
            agent=result.agent,
            **asdict(made),
        )
        one = HistoryAttempt(started, self._finish(started["number"], result))
        past.attempts.append(one)

    def _keep_interrupted(self, past: History) -> None:
        """Give refs of their own to what attempts had left that will be repeated under their number."""
        for one in past.attempts:
            is_repeated = not one.has_ended or (one.result is not None and one.result.outcome is Outcome.QUOTA)
            if is_repeated and one.result is not None and one.result.snapshot is not None:
                ref = snapshot_ref(self.inputs.run_id, one.started["step"], one.attempt)
                with suppress(WorktreeError):  # it is gone from the repository
                    self._repository.update_ref(f"{ref}-n{one.number}", one.result.snapshot)

    def _take_up(self, past: History, reuse: Callable[[HistoryAttempt], None], **new_run: Any) -> None:
        """`new_run`: `until` and `end_session` of a run that begins at a step of another."""
        self.reused = frozenset()
        identify = self._builder.identify
        self.schedule, self.reuse = take_up(
            past, self.inputs, self.record, self._repository, identify=identify, reuse=reuse, **new_run
        )
        self.reruns = self.reuse.again
        self._at_hand = {(str(one.path), one.attempt): one for one in self.reuse.at_hand}

    def next(self, may_start: Callable[[str], bool] | None = None) -> Order | None:
        """As for any run; what takes the place of a result at hand that does not hold after all has a new number."""
        order = super().next(may_start)
        one = None if order is None else self._at_hand.get((order.step, order.attempt))
        if order is None or one is None or not changes(self._repository, one.started, order, order.identity):
            return order
        del self._at_hand[order.step, order.attempt]
        self.record.attempts[one.number - 1].superseded = True
        self.schedule.count_from({}, [one.path])
        return super().next(may_start)

    def share(self, quota: Quota) -> Iterator[str]:
        self.quota = quota
        for ready in self.schedule.ready():
            number, limited = self._limited(ready)
            told = None if limited is None else quota.recall(limited)
            if isinstance(told, Again):
                self._book("limit_recalled", number=number, until=told.until)
                yield told.why
            elif told is not None:
                yield told

    def _limited(self, ready: Ready) -> tuple[int, Limited | None]:
        """The newest attempt of a step, if it came to a limit of the agent that is to make the next one."""
        newest = next((one for one in reversed(self.record.attempts) if one.step == str(ready.path)), None)
        result = None if newest is None else newest.result
        if newest is None or result is None or newest.agent != ready.agent or newest.agent is None:
            return 0, None
        if result.outcome is not Outcome.QUOTA:
            return 0, None
        resets_at = sane(result.resets_at, self._clock())
        cli = self.inputs.cli_of(newest.agent)
        return newest.number, Limited(self.inputs.run_id, newest.agent, cli, newest.started, resets_at)

    def result_at_hand(self, order: Order) -> AttemptResult | None:
        """The result of an earlier session, if the attempt would be made the same way now."""
        one = self._at_hand.get((order.step, order.attempt))
        return None if one is None else one.result

    def settle(self, order: Order, result: AttemptResult, decide: Decide) -> Booked:
        self._at_hand.pop((order.step, order.attempt), None)
        return super().settle(order, result, decide)

    def _mark(self, one: HistoryAttempt) -> None:
        self.record.attempts[one.number - 1].superseded = False
        self.reused |= {one.number}

    def _told(self) -> dict[str, Any]:
        again = {str(path): why for path, why in self.reuse.again.items()}
        return {"reused": sorted(self.reuse.numbers), "again": again, "head": self.schedule.head}

    # -- from a step ---------------------------------------------------------------------------------------------

    def start_from(self, past: History, step: StepPath, origin: str, **start: Any) -> None:
        """Begin a new run that takes over what an earlier one did before `step`; `start` is for `start`."""
        self.start(origin=origin, **start)
        self._take_up(past, self._copy, until=step, end_session=self._end_copied_session)
        self._at_hand.clear()
        self._move_branch(self.schedule.head)

    def _copy(self, one: HistoryAttempt) -> None:
        """Book an attempt of the other run as reused, and keep its commits."""
        assert one.finished is not None and one.decided is not None  # noqa: S101, PT018 - it was settled
        number = len(self.record.attempts) + 1
        self._book_as(one.started, number=number, reused=one.number)
        self._book_as(one.finished, number=number, folder=None)
        self._book_as(one.decided, number=number, head=self.schedule.head)
        self.reused |= {number}
        if one.result is not None and one.result.snapshot is not None:
            ref = snapshot_ref(self.inputs.run_id, one.started["step"], one.attempt)
            self._repository.update_ref(ref, one.result.snapshot)
        if one.result is not None:
            self._keep(one.started["step"], one.attempt, one.result, one.commit)

    def _end_copied_session(self) -> None:
        """Record where a session of the other run ended: a failure that ended it does not end what follows."""
        self._book("session_copied", reused=sorted(self.reused))

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
        own = read_history(read_ledger(self.folder.ledger))
        number = next(
            other.number for other in reversed(own.attempts) if (other.path, other.attempt) == (one.path, one.attempt)
        )
        own.refused.add(number)
        self._take_up(own, self._mark)
        self.reuse.again[one.path] = f"{REFUSED}: {why}"
        self.recheck = f"{one.path}: {REFUSED}: {why}"
        self._book("reuse_refused", number=number, reason=why, **self._told())
        self._move_branch(self.schedule.head)
