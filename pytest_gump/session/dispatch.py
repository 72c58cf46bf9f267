"""The controller's loop: orders of all open runs go to executors, results come back, what follows is decided."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import Usage, UsageSeen
from pytest_gump.engine.attempt.recovery import NEVER_STARTED
from pytest_gump.errors import GumpError
from pytest_gump.executors.protocol import Finished, Lost, WorkerFault
from pytest_gump.order import Outcome
from pytest_gump.session.active_run import Flight
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from pytest_gump.engine.attempt.tools import Heard
    from pytest_gump.engine.run.quota import Quota
    from pytest_gump.executors.protocol import Executors
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.reporters.report import Report
    from pytest_gump.session.active_run import OpenRun
    from pytest_gump.session.item_protocol import StepReports

TICK_S: Final = 0.2
RECALL_S: Final = 4.0
"""How long attempts may take to end when the session is stopped; what is not back by then is killed."""
KILL_S: Final = 3.0


class OrderLoop:
    def __init__(
        self, session: pytest.Session, executors: Executors, reports: StepReports, report: Report,
        *, slots: Mapping[str, int], quota: Quota,
    ) -> None:  # fmt: skip
        self._session = session
        self._executors = executors
        self._reports = reports
        self._report = report
        self._slots = slots
        self._quota = quota
        self._open: list[OpenRun] = []
        self._flights: dict[int, Flight] = {}
        self._landing: Flight | None = None
        """One that this process may only carry out now."""
        self._tickets = count(1)
        self._changes = 0
        """Grows with everything after which a run may have an order that it had not before."""

    def run(self, runs: Sequence[OpenRun], interrupted: Callable[[], bool] = bool) -> None:
        """Carry the runs to their ends; the session's own reasons to stop are left to the caller to raise.

        Raises:
            KeyboardInterrupt: it came, or `interrupted` said so; what was under way has ended and is booked.
        """
        self._open = [*runs]
        self._report.live.waits = self._quota.waits
        for of in runs:
            for line in of.run.share(self._quota):
                self._report.say_once(line)
        try:
            while self._open and not self._is_stopped():
                if interrupted():
                    raise KeyboardInterrupt  # noqa: TRY301 - it is the same as a real one
                self._changes += self._quota.end_waits()
                self._fill()
                self._close_ended()
                if self._open and not self._is_stopped():
                    self._take(self._executors.wait(TICK_S))
                    self._report.live.tick()
        except KeyboardInterrupt:
            self._recall("interrupted")
            raise
        except BaseException:  # a full disk, say: what is under way cannot be booked, but it need not go on
            for ticket in self._flights:
                self._executors.cancel(ticket, "the session was stopped")
            raise
        self._recall(str(self._session.shouldfail or self._session.shouldstop or "the session was stopped"))

    def hear(self, ticket: int, event: Heard) -> None:
        """Take an event of a running agent: what all attempts of a run spend together may end them."""
        self._report.live.heard(ticket, event)
        flight = self._flights.get(ticket, self._landing)
        if flight is None or flight.ticket != ticket or flight.item is None or not isinstance(event, UsageSeen):
            return
        flight.heard = event.usage
        reason = flight.of.run.heard(flight.order, event.usage)
        if reason is not None:
            for one in {flight.ticket: flight, **self._flights}.values():
                if one.of is flight.of:
                    self._executors.spend_no_more(one.ticket, reason)

    def _is_stopped(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)

    # -- giving out ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start what may start: the next order of each run in turn."""
        progress = True
        while progress and not self._is_stopped():
            progress = False
            for of in self._open:
                if (self._executors.free or self._executors.gone) and not self._is_stopped():
                    progress = self._start_next(of) or progress

    def _start_next(self, of: OpenRun) -> bool:
        if of.in_preflight or of.asked_at == self._changes:
            return False
        if of.needs_preflight and self._executors.gone is None and self._start_preflight(of):
            return True
        waits = any(self._quota.waits())
        order = None if of.run.done else of.run.next(self._may_start_of(of) if self._slots or waits else None)
        of.is_idle = order is None and not waits and not (self._slots and self._flights)
        if order is None:
            of.asked_at = self._changes
            return False
        self._begin(of, order)
        return True

    def _may_start_of(self, of: OpenRun) -> Callable[[str], bool]:
        taken = Counter(flight.cli for flight in self._flights.values())

        def may_start(agent: str) -> bool:
            cli = of.run.inputs.cli_of(agent)
            return self._quota.is_free(cli) and taken[cli] < self._slots.get(cli, taken[cli] + 1)

        return may_start

    def _start_preflight(self, of: OpenRun) -> bool:
        """Try the gate commands on the untouched base before the run's first step."""
        of.needs_preflight = False
        order = of.run.preflight()
        if order is not None:
            of.in_preflight = True
            flight, label = Flight(next(self._tickets), of, order, None, None), self._report.label_of(order.run_id)
            self._report.live.preflight_started(flight.ticket, of.run, slot=order.slot, label=label)
            self._send(flight)
        return order is not None

    def _send(self, flight: Flight) -> None:
        self._flights[flight.ticket] = flight
        flight.of.in_flight += 1
        self._executors.start(flight.ticket, flight.order)

    def _begin(self, of: OpenRun, order: Order) -> None:
        run, path = of.run, StepPath.parse(order.step)
        record = run.begin(order)
        cli = None if order.agent is None else run.inputs.cli_of(order.agent)
        flight = Flight(next(self._tickets), of, order, of.item(self._session, path), cli)
        label = self._report.label_of(order.run_id)
        self._report.live.started(flight.ticket, record, run, slot=order.slot, label=label)
        assert flight.item is not None  # noqa: S101 - it was given one
        self._reports.tell(partial(flight.item.ihook.pytest_gump_attempt_started, order=order))
        result = self._at_once(of, order)
        if result is None:
            self._send(flight)
        else:
            self._land(flight, lambda: result)

    def _at_once(self, of: OpenRun, order: Order) -> AttemptResult | None:
        """The result of an order that no executor is needed for, or that none gets."""
        known = of.run.result_at_hand(order)
        if known is not None:
            return known
        if order.mode == "merge":
            return of.run.merge(order)
        refused = of.run.refuse(order)
        if refused is None and self._executors.gone is not None:
            return of.run.no_attempt(order, Outcome.CRASHED, self._executors.gone)
        return refused

    # -- taking back ---------------------------------------------------------------------------------------------

    def _take(self, arrivals: Sequence[Finished | Lost]) -> None:
        for arrival in arrivals:
            flight = self._flights.pop(arrival.ticket)
            flight.of.in_flight -= 1
            if flight.item is None:
                self._end_preflight(flight, arrival)
            elif isinstance(arrival, Finished):
                self._land(flight, arrival.outcome, is_over=arrival.is_over)
            else:
                result = self._lost(flight, arrival)
                self._land(flight, lambda result=result: result)  # type: ignore[misc]

    def _land(self, flight: Flight, outcome: Callable[[], AttemptResult], *, is_over: bool = True) -> None:
        self._changes += 1
        self._landing = flight
        self._reports.perform(flight, outcome, is_over=is_over)
        self._landing = None
        self._changes += 1

    def _end_preflight(self, flight: Flight, arrival: Finished | Lost) -> None:
        of = flight.of
        of.in_preflight = False
        self._changes += 1
        if isinstance(arrival, Lost) and not of.has_lost_preflight:
            of.has_lost_preflight = of.needs_preflight = True  # once more, on another worker
            self._report.live.ended(flight.ticket)
            return
        try:
            result = arrival.outcome() if isinstance(arrival, Finished) else self._lost(flight, arrival)
        except WorkerFault as fault:  # another run may well be able to go on; what is raised here concerns them all
            result = of.run.no_attempt(flight.order, Outcome.GATE_ERROR, str(fault.args[0]).splitlines()[0])
        self._report.live.ended(flight.ticket)
        reason = of.run.settle_preflight(result)
        self._report.preflight_finished(of.run)
        if reason is not None:
            self._reports.preflight_failed(of, result, reason)

    def _lost(self, flight: Flight, lost: Lost) -> AttemptResult:
        if not lost.is_quiet:
            flight.of.launch.doubt(flight.order.slot)
            flight.of.run.abandon_slot(flight.order.slot)
        has_begun = lost.is_away or not lost.is_quiet  # of others, the stream on disk tells
        usage = flight.heard or (Usage() if has_begun else NEVER_STARTED)
        result = flight.of.run.no_attempt(flight.order, Outcome.CRASHED, lost.why, usage)
        return flight.of.launch.recover(flight.ticket, flight.order, result, flight.began)

    def _result(self, flight: Flight, arrival: Finished | Lost) -> AttemptResult:
        if isinstance(arrival, Lost):
            return self._lost(flight, arrival)
        try:
            return arrival.outcome()
        except GumpError as error:
            return self._reports.broken(flight, error)

    def _close_ended(self) -> None:
        for of in [*self._open]:
            if not of.in_flight and (of.run.done or (of.is_idle and of.asked_at == self._changes)):
                self._open.remove(of)
                of.stack.close()

    def _recall(self, reason: str) -> None:
        """Stop everything under way, and book what comes back."""
        for ticket in [*self._flights]:
            self._executors.cancel(ticket, reason)
        self._await(time.monotonic() + RECALL_S)
        for ticket in [*self._flights]:
            self._executors.kill(ticket)
        self._await(time.monotonic() + KILL_S)
        for ticket in [*self._flights]:
            self._book_stopped(Lost(ticket, f"{reason}, and its worker did not answer", is_quiet=False))

    def _await(self, deadline: float) -> None:
        while self._flights and time.monotonic() < deadline:
            for arrival in self._executors.wait(TICK_S):
                self._book_stopped(arrival)

    def _book_stopped(self, arrival: Finished | Lost) -> None:
        flight = self._flights.pop(arrival.ticket)
        flight.of.in_flight -= 1
        if flight.item is None:
            return
        result = self._result(flight, arrival)
        if isinstance(arrival, Lost) or result.outcome is Outcome.CANCELLED:
            self._reports.cancelled(flight, result)
        else:  # it had come to its end before it could be stopped
            self._land(flight, lambda: result)
