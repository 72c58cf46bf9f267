"""The controller's loop: sends the orders of all open runs to executors and passes the results back."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import UsageSeen
from pytest_gump.agents.usage import NOTHING_USED, Usage
from pytest_gump.errors import GumpError
from pytest_gump.executors.protocol import Finished, Lost, WorkerFault
from pytest_gump.order import AttemptResult, Outcome
from pytest_gump.session.active_run import InFlight, StepInFlight
from pytest_gump.system.processes.session_clock import CLOCK
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.engine.run.quota import Quota
    from pytest_gump.engine.run.run import Run
    from pytest_gump.executors.protocol import Executor
    from pytest_gump.order import Order
    from pytest_gump.reporters.report import Report
    from pytest_gump.session.active_run import ActiveRun
    from pytest_gump.session.item_protocol import StepReports

TICK_S: Final = 0.2
RECALL_S: Final = 4.0
"""Seconds in which attempts must end when the session is stopped. The remaining ones are killed."""
KILL_S: Final = 3.0


class OrderLoop:
    def __init__(
        self, session: pytest.Session, executors: Executor, reports: StepReports, report: Report,
        *, slots: Mapping[str, int], quota: Quota,
    ) -> None:  # fmt: skip
        self._session = session
        self._executors = executors
        self._reports = reports
        self._report = report
        self._slots = slots
        self._quota = quota
        self._open: list[ActiveRun] = []
        self._in_flight: dict[int, InFlight] = {}
        self._shown: InFlight | None = None
        """The step that is being shown to pytest. Without workers, it is carried out at the same time."""
        self._tickets = count(1)
        self._changes = 0
        """Incremented by every event after which a run may have a new order."""

    def run(self, runs: Sequence[ActiveRun], interrupted: Callable[[], bool] = bool) -> None:
        """Complete the runs. If the session has to stop, return early, and let the caller raise the exception.

        Raises:
            KeyboardInterrupt: After Ctrl-C, or if `interrupted` returned True. All attempts are ended and recorded.
        """
        self._open = [*runs]
        self._report.live.waits = self._quota.waits
        for active in runs:
            for line in active.run.share(self._quota):
                self._report.say_once(line)
        try:
            while self._open and not self._is_stopped():
                if interrupted():
                    raise KeyboardInterrupt  # noqa: TRY301 - handled like a real one
                self._changes += self._quota.end_waits()
                self._fill()
                self._close_ended()
                if self._open and not self._is_stopped():
                    self._on_arrivals(self._executors.wait(TICK_S))
                    self._report.live.tick()
        except KeyboardInterrupt as error:
            self._recall("interrupted")
            raise KeyboardInterrupt(*error.args) from error  # pytest prints the class, which may be `Cancelled`
        except BaseException:  # for example a full disk: attempts can no longer be recorded
            for ticket in self._in_flight:
                self._executors.cancel(ticket, "the session was stopped")
            raise
        self._recall(str(self._session.shouldfail or self._session.shouldstop or "the session was stopped"))

    def on_event(self, ticket: int, event: AttemptEvent) -> None:
        """Show an event of a running agent. If it has used up a shared limit, stop all attempts that share it."""
        self._report.live.on_event(ticket, event)
        step = self._in_flight.get(ticket, self._shown)
        if not isinstance(event, UsageSeen) or not isinstance(step, StepInFlight) or step.ticket != ticket:
            return
        step.usage = event.usage
        spent = step.active.run.on_usage(step.order, event.usage)
        if spent is not None:
            for in_flight in {ticket: step, **self._in_flight}.values():
                if in_flight.active is step.active and spent.stops(in_flight.order.step):
                    self._executors.spend_no_more(in_flight.ticket, spent.reason)

    def _is_stopped(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)

    # -- orders --------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start as many orders as possible, from all runs in turn."""
        progress = True
        while progress and not self._is_stopped():
            progress = False
            for active in self._open:
                if (self._executors.free or self._executors.gone) and not self._is_stopped():
                    progress = self._start_next(active) or progress

    def _start_next(self, active: ActiveRun) -> bool:
        if active.in_preflight or active.idle_at == self._changes:
            return False
        if active.needs_preflight and self._executors.gone is None and self._start_preflight(active):
            return True
        waits = any(self._quota.waits())
        order = (
            None if active.run.done else active.run.next(self._may_start_of(active) if self._slots or waits else None)
        )
        active.is_idle = order is None and not waits and not (self._slots and self._in_flight)
        if order is None:
            active.idle_at = self._changes
            return False
        self._begin(active, order)
        return True

    def _may_start_of(self, active: ActiveRun) -> Callable[[str], bool]:
        taken = Counter(step.cli for step in self._in_flight.values() if isinstance(step, StepInFlight))

        def may_start(agent: str) -> bool:
            cli = active.run.inputs.cli_of(agent)
            return self._quota.is_free(cli) and taken[cli] < self._slots.get(cli, taken[cli] + 1)

        return may_start

    def _start_preflight(self, active: ActiveRun) -> bool:
        """Run the gate commands on the base commit before the run's first step."""
        active.needs_preflight = False
        order = active.run.preflight()
        if order is not None:
            active.in_preflight = True
            in_flight = InFlight(ticket=next(self._tickets), active=active, order=order)
            label = self._report.label_of(order.run_id)
            self._report.live.preflight_started(in_flight.ticket, active.run, slot=order.slot, label=label)
            self._send(in_flight)
        return order is not None

    def _send(self, in_flight: InFlight) -> None:
        self._in_flight[in_flight.ticket] = in_flight
        in_flight.active.in_flight += 1
        self._executors.start(in_flight.ticket, in_flight.order)

    def _begin(self, active: ActiveRun, order: Order) -> None:
        run, path = active.run, StepPath.parse(order.step)
        record = run.begin(order)
        cli = None if order.agent is None else run.inputs.cli_of(order.agent)
        item = active.item(self._session, path)
        in_flight = StepInFlight(ticket=next(self._tickets), active=active, order=order, item=item, cli=cli)
        label = self._report.label_of(order.run_id)
        self._report.live.started(in_flight.ticket, record, run, slot=order.slot, label=label)
        if record.verdict != "awaiting":  # otherwise, an earlier session has called it
            self._reports.notify(partial(item.ihook.pytest_gump_attempt_started, order=order))
        result = self._immediate_result(run, order)
        if result is None:
            self._send(in_flight)
        else:
            self._finish(in_flight, lambda: result)

    def _immediate_result(self, run: Run, order: Order) -> AttemptResult | None:
        """Return the result of an order that needs no executor, or that cannot get one; otherwise None."""
        known = run.reuse.result_of(order)
        if known is not None:
            return known
        refused = run.carry_out(order) or run.refuse(order)
        if refused is None and self._executors.gone is not None:
            return AttemptResult.not_made(order, Outcome.CRASHED, self._executors.gone, started=CLOCK.now())
        return refused

    # -- results -------------------------------------------------------------------------------------------------

    def _on_arrivals(self, arrivals: Sequence[Finished | Lost]) -> None:
        for arrival in arrivals:
            in_flight = self._remove(arrival)
            if isinstance(in_flight, StepInFlight):
                is_over = isinstance(arrival, Lost) or arrival.is_over
                self._finish(in_flight, self._getter_of(in_flight, arrival), is_over=is_over)
            else:
                self._end_preflight(in_flight, arrival)

    def _remove(self, arrival: Finished | Lost) -> InFlight:
        in_flight = self._in_flight.pop(arrival.ticket)
        in_flight.active.in_flight -= 1
        return in_flight

    def _finish(self, step: StepInFlight, get_result: Callable[[], AttemptResult], *, is_over: bool = True) -> None:
        self._changes += 1
        self._shown = step
        self._reports.show(step, get_result, is_over=is_over)
        self._shown = None
        self._changes += 1

    def _end_preflight(self, in_flight: InFlight, arrival: Finished | Lost) -> None:
        active = in_flight.active
        active.in_preflight = False
        self._changes += 1
        if isinstance(arrival, Lost) and not active.has_lost_preflight:
            active.has_lost_preflight = active.needs_preflight = True  # run it on another worker
            self._report.live.ended(in_flight.ticket)
            return
        try:
            result = self._getter_of(in_flight, arrival)()
        except WorkerFault as fault:  # affects this run only; an exception would end all runs
            reason = str(fault.args[0]).splitlines()[0]
            result = AttemptResult.not_made(in_flight.order, Outcome.GATE_ERROR, reason, started=CLOCK.now())
        self._report.live.ended(in_flight.ticket)
        failure = active.run.settle_preflight(result)
        self._report.preflight_finished(active.run)
        if failure is not None:
            self._reports.preflight_failed(active, result, failure)

    def _getter_of(self, in_flight: InFlight, arrival: Finished | Lost) -> Callable[[], AttemptResult]:
        """Return a function that returns the result or raises the error of the attempt."""
        return arrival.get_result if isinstance(arrival, Finished) else partial(self._lost, in_flight, arrival)

    def _lost(self, in_flight: InFlight, arrival: Lost) -> AttemptResult:
        if not arrival.processes_ended:
            for slot in in_flight.order.slots:
                in_flight.active.context.pool.mark_suspect(slot)
                in_flight.active.run.abandon_slot(slot)
        has_begun = arrival.is_away or not arrival.processes_ended  # otherwise, the stream on disk shows the usage
        unreported = Usage() if has_begun else NOTHING_USED
        return in_flight.interrupted(Outcome.CRASHED, arrival.why, unreported=unreported)

    def _close_ended(self) -> None:
        for active in [*self._open]:
            if not active.in_flight and (active.run.done or (active.is_idle and active.idle_at == self._changes)):
                self._open.remove(active)
                active.stack.close()

    def _recall(self, reason: str) -> None:
        """Stop all attempts and record their results."""
        for ticket in [*self._in_flight]:
            self._executors.cancel(ticket, reason)
        self._await(time.monotonic() + RECALL_S)
        for ticket in [*self._in_flight]:
            self._executors.kill(ticket)
        self._await(time.monotonic() + KILL_S)
        for ticket in [*self._in_flight]:
            self._record_stopped(Lost(ticket, f"{reason}, and its worker did not answer", processes_ended=False))

    def _await(self, deadline: float) -> None:
        while self._in_flight and time.monotonic() < deadline:
            for arrival in self._executors.wait(TICK_S):
                self._record_stopped(arrival)

    def _record_stopped(self, arrival: Finished | Lost) -> None:
        step = self._remove(arrival)
        if not isinstance(step, StepInFlight):
            return
        try:
            result = self._getter_of(step, arrival)()
        except GumpError as error:
            result = self._reports.broken(step, error)
        if isinstance(arrival, Lost) or result.outcome is Outcome.CANCELLED:
            self._reports.cancelled(step, result)
        else:  # the attempt ended before it could be stopped
            self._finish(step, lambda: result)
