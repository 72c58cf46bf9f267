"""What pytest and every other plugin see of steps: one report for each, whatever the number of its attempts."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # the one way to run an item's phases and log a single report; tested

from pytest_gump import junit
from pytest_gump.collect import StepItem, describe_failure
from pytest_gump.engine.attempt import Cancelled
from pytest_gump.engine.decision import Retry, Stop
from pytest_gump.engine.lost_attempt import NEVER_STARTED
from pytest_gump.engine.order import AttemptResult, Outcome, from_wire, to_wire
from pytest_gump.errors import GumpError
from pytest_gump.system.output import clean_text
from pytest_gump.workflow.path import REPLAN, StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pytest_gump.engine.decision import Decision, Failure
    from pytest_gump.engine.run import Booked, Run
    from pytest_gump.jobs import Job
    from pytest_gump.open_run import Flight, OpenRun
    from pytest_gump.report import Report
    from pytest_gump.workflow.model import Step


class StepReports:
    """Registered with the conductor: books attempts when their report comes, before pytest counts it."""

    def __init__(self, config: pytest.Config, report: Report) -> None:
        self._config = config
        self._report = report
        self._landing: dict[str, Flight] = {}
        self._skipped: tuple[StepPath, ...] = ()

    def perform(self, flight: Flight, outcome: Callable[[], AttemptResult]) -> None:
        """Let pytest see the item of an attempt run: `outcome` gives what came of it, or carries it out.

        Raises:
            KeyboardInterrupt: it came while the attempt was carried out; what was spent is booked.
        """
        item, run = flight.item, flight.of.run
        assert item is not None  # noqa: S101 - a preflight has no item
        item.order, item.result = flight.order, None
        item.root.job.runner = lambda _order: outcome()
        self._landing[item.nodeid] = flight
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        except Cancelled as error:
            self.cancelled(flight, error.result)
            raise KeyboardInterrupt(str(error)) from None
        except KeyboardInterrupt:
            if self._landing.pop(item.nodeid, None) is not None:
                self.cancelled(flight, self._stopped(flight, item.result))
            raise
        for path in self._skipped:
            self._log_skipped(flight.of, path, run.schedule.reason)
        self._skipped = ()

    def _stopped(self, flight: Flight, result: AttemptResult | None) -> AttemptResult:
        """What became of an attempt when Ctrl-C came around it: nobody has told its end yet."""
        if result is not None:
            return replace(result, outcome=Outcome.CANCELLED, reason="interrupted")
        usage = flight.heard or NEVER_STARTED
        result = flight.of.run.no_attempt(flight.order, Outcome.CANCELLED, "interrupted", usage)
        return flight.of.launch.recover(flight.ticket, flight.order, result, flight.began)

    def cancelled(self, flight: Flight, result: AttemptResult) -> None:
        """Book an attempt that was stopped; nothing follows from it."""
        self._report.live.ended(flight.ticket)
        self._report.attempt_cancelled(flight.order.run_id, flight.of.run.finish_attempt(flight.order, result))

    # -- hooks ---------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run one attempt and log one report for it; the teardown is logged when the step is settled."""
        if not isinstance(item, StepItem):
            return None
        reports = runtestprotocol(item, log=False, nextitem=None)
        if item.nodeid not in self._landing:
            self._report.hand_on(item, reports)
            return True
        report = next((one for one in reports if one.failed), reports[min(1, len(reports) - 1)])
        item.ihook.pytest_runtest_logreport(report=report)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report: Any = yield
        if isinstance(item, StepItem) and item.order is not None:
            result = item.result
            report.gump = {
                "order": to_wire(item.order),
                "result": to_wire(result) if result is not None else None,
            }
            if result is not None and report.when == "call":  # a worker may have done what this process only tells
                report.duration = max(report.duration, result.timings.total_s)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        """Settle the attempt before pytest, and every other plugin, counts it.

        A failure that will be retried is none; a pass counts when the run ends, for a later step may still restart
        from this one. So every step is counted once; of the attempts in between, others see a phase that passed.
        """
        if getattr(report, "gump", None) is None:
            return (yield)
        flight = self._landing.pop(report.nodeid)
        of, booked = flight.of, self._settle(flight, report)
        verdict = booked.settled.verdict
        part_of_replan = verdict == "failed" and booked.settled.step is not None
        of.passed.pop(report.nodeid, None)
        of.spent_s[report.nodeid] = of.spent_s.get(report.nodeid, 0.0) + report.duration
        report.duration = of.spent_s[report.nodeid]
        if verdict == "passed":
            of.passed[report.nodeid] = _final(report, "call"), booked
        if verdict != "failed" or part_of_replan:
            _make_phase(report, "retried" if part_of_replan else _CATEGORIES.get(verdict, verdict))
        self._report.live.ended(flight.ticket)
        self._report.attempt_finished(booked)
        with self._report.own_lines(report):
            result = yield
        if part_of_replan:
            assert booked.settled.step is not None  # noqa: S101 - that makes it part of a replan
            self._log_failed(of, booked.settled.step, booked.result)
        elif verdict == "failed":
            self._close(report, of, booked.record.step)
        for path in booked.settled.failed:
            self._log_failed(of, path, of.run.record.steps[str(path)].attempts[-1].result)
        self._skipped = booked.settled.skipped
        return result

    def _settle(self, flight: Flight, report: Any) -> Booked:
        run, item, order = flight.of.run, flight.item, flight.order
        assert item is not None  # noqa: S101 - only steps have reports
        wire = report.gump["result"]
        if wire is not None:
            result = from_wire(AttemptResult, wire)
        else:
            why = f"the step itself broke: {_last_word(report.longrepr)}"
            result = run.no_attempt(order, Outcome.CRASHED, why, flight.heard or NEVER_STARTED)
            result = flight.of.launch.recover(flight.ticket, order, result, flight.began)
        run.finish_attempt(order, result)
        item.ihook.pytest_gump_attempt_finished(order=order, result=result)

        def decide(step: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
            answer = item.ihook.pytest_gump_retry(step=step, path=str(path), failures=tuple(failures))
            return own if answer is None else _checked(answer, item.root.job)

        return run.settle(order, result, decide)

    # -- settled steps -------------------------------------------------------------------------------------------

    def run_finished(self, of: OpenRun) -> None:
        """Count the steps that passed, in the order in which they last ran."""
        run = of.run
        for report, booked in of.passed.values():
            with self._report.own_lines(report):
                self._config.hook.pytest_runtest_logreport(report=report)
            self._close(report, of, booked.record.step)
        self._log_reused(of, run)
        for path, step in run.record.steps.items():
            if step.attempts and path in of.items and of.items[path].nodeid not in of.closed:
                junit.write_unsettled(self._config, of.items[path], run.record, step)
        of.passed.clear()
        self._config.hook.pytest_gump_run_finished(run=run.record)

    def _log_reused(self, of: OpenRun, run: Run) -> None:
        """Count the steps of earlier sessions whose results hold to the end: they passed."""
        for step in run.record.steps.values():
            path = StepPath.parse(step.path)
            if step.status != "passed" or step.attempts[-1].number not in run.reused or REPLAN in step.path:
                continue
            item = of.item(of.root.session, path)
            if item.nodeid not in of.closed:
                item.order, item.reused = None, True
                call: Any = runtestprotocol(item, log=False, nextitem=None)[1]
                call.duration, call.gump_category = 0.0, "reused"
                with self._report.own_lines(call):
                    item.ihook.pytest_runtest_logreport(report=call)
                self._close(call, of, step.path)

    def _close(self, report: Any, of: OpenRun, path: str) -> None:
        """JUnit closes a testcase at its teardown report, so that is logged once, when the step is settled."""
        teardown = _final(report, "teardown")
        teardown.duration = 0.0
        junit.write_step(self._config, teardown, of.run.record, of.run.record.steps[path])
        of.closed.add(report.nodeid)
        report.user_properties = teardown.user_properties
        with self._report.own_lines(teardown):
            self._config.hook.pytest_runtest_logreport(report=teardown)

    def _log_failed(self, of: OpenRun, path: StepPath, result: AttemptResult | None) -> None:
        """Fail a step that no attempt of its own tells of: a part of its replan failed, or its group gave up later."""
        item = of.item(of.root.session, path)
        whole = of.run.record.steps[str(path)]
        detail = describe_failure(result) if result is not None else ""
        report = self._report.step_failed(item, f"{path}: {whole.reason}\n\n{detail}")
        self._close(report, of, whole.path)

    def _log_skipped(self, of: OpenRun, path: StepPath, reason: str) -> None:
        item, record = of.item(of.root.session, path), of.run.record
        of.passed.pop(item.nodeid, None)
        self._report.step_skipped(record.run_id, str(path), reason)
        junit.write_skipped(self._config, item, record, record.steps[str(path)])
        of.closed.add(item.nodeid)
        item.order = None
        item.add_marker(pytest.mark.skip(reason=reason))
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _checked(answer: object, job: Job) -> Decision:
    """What a hook decided, or a Stop that says why it cannot be followed: a run in progress is not thrown away."""
    if isinstance(answer, Stop):
        return answer
    if not isinstance(answer, Retry):
        return Stop(f"pytest_gump_retry answered {answer!r}, which is neither Retry nor Stop")
    try:
        missing = job.agent(answer.agent).missing() if answer.agent is not None else None
    except GumpError as error:
        missing = str(error.args[0])
    return answer if missing is None else Stop(f"pytest_gump_retry: {missing}")


_CATEGORIES = {"again": "retried", "passed": ""}
"""What pytest's summary counts an attempt as that is not the last word on its step; "" is no count."""


def _make_phase(report: Any, category: str) -> None:
    """Make it the report of a set-up that passed: no plugin shows or counts that, ours apart."""
    report.when, report.outcome, report.longrepr, report.gump_category = "setup", "passed", None, category
    report.duration, report.sections = 0.0, []


def _final(report: Any, when: str) -> Any:
    """A copy, not one built anew: since pytest 9.2 a report's id is more than its string."""
    final = copy.copy(report)
    final.when, final.outcome, final.longrepr, final.gump, final.gump_category = when, "passed", None, None, None
    final.sections = []
    return final


def _last_word(longrepr: object) -> str:
    """What broke: the first line of an error of ours, which is text already, or the last one of a traceback."""
    lines = clean_text(str(longrepr)).strip().splitlines() or ["no report"]
    return lines[0] if isinstance(longrepr, str) else lines[-1]
