"""Reports steps to pytest and other plugins: one report per step, regardless of the number of attempts."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.collect import StepItem, describe_failure
from pytest_gump.engine.run.preflight import PREFLIGHT
from pytest_gump.engine.schedule.decision import Retry, Stop
from pytest_gump.errors import GumpError
from pytest_gump.jobs.hooks import in_a_line, trouble
from pytest_gump.order import AttemptResult, Outcome
from pytest_gump.reporters import junit
from pytest_gump.session.interrupts import uninterrupted
from pytest_gump.session.phases import Phases, StepProtocol, make_setup
from pytest_gump.text import clean_text
from pytest_gump.workflow.path import REPLAN, StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.record.records import AttemptRecord
    from pytest_gump.engine.run.run import Run
    from pytest_gump.engine.schedule.decision import Decision, Failure
    from pytest_gump.engine.schedule.records import Decide, Settled, Validated
    from pytest_gump.jobs.job import Job
    from pytest_gump.reporters.report import Report
    from pytest_gump.session.active_run import ActiveRun, StepInFlight
    from pytest_gump.workflow.model import Step


class StepReports:
    """Records attempts, then shows them to pytest and its plugins."""

    def __init__(self, config: pytest.Config, report: Report) -> None:
        self._config = config
        self._report = report
        self.may_ask = False
        """True if the session may ask a person at the terminal while the run has no other attempt in flight."""
        self._protocol = StepProtocol()
        config.pluginmanager.register(self._protocol, "gump-steps")

    def show(self, in_flight: StepInFlight, get_result: Callable[[], AttemptResult], *, is_over: bool) -> None:
        """Run the pytest phases of an attempt's item, then record the attempt.

        Args:
            in_flight: The step of the attempt.
            get_result: Returns the result or carries out the attempt.
            is_over: True if the attempt has ended.

        Raises:
            KeyboardInterrupt, Exit: The session must end. The result of the attempt is recorded.
        """
        item = in_flight.item
        phases = Phases(item, get_result, partial(self.broken, in_flight), is_over=is_over)
        item.order, item.result = in_flight.order, None
        with self._protocol.showing(item, phases.in_protocol):
            phases.run()
            if phases.result is None or phases.result.outcome is Outcome.CANCELLED:
                result = phases.result or in_flight.interrupted(Outcome.CANCELLED, "interrupted")
                self.cancelled(in_flight, result)
            else:
                self._settle(in_flight, phases.result, phases)
        if phases.stop is not None:
            raise phases.stop

    def broken(self, in_flight: StepInFlight, error: BaseException) -> AttemptResult:
        """Return the final result of an attempt that raised an error. A retry would fail the same way."""
        why = str(error.args[0]).partition("\n")[0] if isinstance(error, GumpError) else in_a_line(error)
        outcome = Outcome.GATE_ERROR if in_flight.order.agent is None else Outcome.AGENT_ERROR
        return in_flight.interrupted(outcome, f"the step raised an error: {clean_text(why)}", final=True)

    def cancelled(self, in_flight: StepInFlight, result: AttemptResult) -> None:
        """Record an attempt that was stopped. The schedule does not change."""
        self._report.live.ended(in_flight.ticket)
        record = in_flight.active.run.finish_attempt(in_flight.order, result)
        self._report.attempt_cancelled(in_flight.order.run_id, record, result)

    def _settle(self, in_flight: StepInFlight, result: AttemptResult, phases: Phases) -> None:
        """Record the attempt and decide what follows, before pytest and other plugins count it.

        If a person must approve the work, ask first, if there is a terminal.
        """
        run = in_flight.active.run
        decide = self._hook_of(in_flight)
        with uninterrupted():  # record and show the attempt, or do neither
            record = self._record(in_flight, result)
            settled = run.settle(in_flight.order, result, decide)
            if settled.verdict != "awaiting" or not self.may_ask or in_flight.active.in_flight:
                self._show_settled(in_flight, record, settled, phases)
                return
        from pytest_gump.session.approval import Approver  # late: most steps need no approval

        self._report.live.ended(in_flight.ticket)
        given = None
        try:
            question = run.record.approvals.questions[record.number]
            approver = Approver(self._config, self._report.screen)
            given = approver.ask(question, run.record, in_flight.active.context.prepared.repository)
        finally:
            with uninterrupted():
                if given is not None:
                    settled = run.answer(in_flight.order, result, decide, given)
                self._show_settled(in_flight, record, settled, phases)

    def _show_settled(self, in_flight: StepInFlight, record: AttemptRecord, settled: Settled, phases: Phases) -> None:
        """Report an attempt that is settled, or waits for a person.

        Each step is counted once. A failure that is retried is not counted: other plugins see a passed set-up instead.
        A pass is counted when the run ends, because a later step may restart from this one.
        """
        active, order = in_flight.active, in_flight.order
        verdict, result = settled.verdict, record.result
        assert result is not None  # noqa: S101 - it has just been recorded
        report = phases.report(result)
        replanned = settled.step if verdict == "failed" else None
        active.passed.pop(report.nodeid, None)
        active.spent_s[report.nodeid] = active.spent_s.get(report.nodeid, 0.0) + report.duration
        report.duration = active.spent_s[report.nodeid]
        report.gump = order, result
        if verdict == "passed":
            active.passed[report.nodeid] = _final(report, "call"), order.step
        elif verdict == "judged":
            active.judged[report.nodeid] = _final(report, "call")
        if verdict != "failed" or replanned:
            category = "" if record.ended_validator else _CATEGORIES.get(verdict, verdict)
            make_setup(report, "retried" if replanned else category)
        self._report.live.ended(in_flight.ticket)
        self._report.attempt_finished(order.run_id, record, result)
        self._report.log(report, in_flight.item.ihook)
        if replanned:
            self._log_failed(active, replanned, result)
        elif verdict == "failed":
            self._close(report, active, order.step)
        if settled.validated is not None:
            self._settle_validated(active, settled.validated)
        stalled = active.run.end_if_stalled()
        for ended in (*settled.settlements, *((stalled,) if stalled is not None else ())):
            for path in ended.failed:
                self._log_failed(active, path, active.run.record.steps[str(path)].attempts[-1].result)
            for path in ended.skipped:
                self._log_skipped(active, path)

    def _settle_validated(self, active: ActiveRun, validated: Validated) -> None:
        """Count and show an attempt whose validators have all ended, as `_settle` does for other attempts."""
        path, verdict = validated.ready.path, validated.settled.verdict
        item, whole = active.item(active.root.session, path), active.run.record.steps[str(path)]
        report = active.judged.pop(item.nodeid, None) or self._report_without_attempt(item)
        self._report.validated(active.run.record.run_id, whole.attempts[-1], validated.result)
        if verdict == "passed":
            active.passed[report.nodeid] = report, str(path)
        elif verdict == "failed":
            self._log_failed(active, path, validated.result)
        else:
            make_setup(report, _CATEGORIES.get(verdict, verdict))
            self._report.log(report, item.ihook)

    def _report_without_attempt(self, item: StepItem) -> Any:
        """Return the report of a step that has passed without an attempt in this session."""
        item.order = item.result = None
        report = self._protocol.report_of(item, "call")
        report.outcome, report.longrepr, report.duration, report.gump_category = "passed", None, 0.0, None
        return report

    def _record(self, in_flight: StepInFlight, result: AttemptResult) -> AttemptRecord:
        order, hooks = in_flight.order, in_flight.item.ihook
        record = in_flight.active.run.finish_attempt(order, result)
        if record.verdict != "awaiting":  # otherwise, an earlier session has called it
            self.notify(partial(hooks.pytest_gump_attempt_finished, order=order, result=result))
        return record

    def _hook_of(self, in_flight: StepInFlight) -> Decide:
        item = in_flight.item

        def decide(step: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
            ask = partial(item.ihook.pytest_gump_retry, step=step, path=str(path), failures=tuple(failures))
            return _answer(ask, item.root.job) or own

        return decide

    def notify(self, hook: Callable[[], object]) -> None:
        """Call one of our hooks that return nothing. An error in it is shown and has no other effect."""
        text = trouble(hook)
        if text is not None:
            name = getattr(getattr(hook, "func", None), "name", "a hook")
            self._report.say_once(f"{name}: another plugin's hook raised {text}")

    # -- settled steps -------------------------------------------------------------------------------------------

    def run_finished(self, active: ActiveRun) -> None:
        """Count the passed steps, in the order in which they last ran."""
        run = active.run
        for report, name in active.passed.values():
            self._report.log(report, self._config.hook)
            self._close(report, active, name)
        self._log_reused(active, run)
        for path, step in run.record.steps.items():
            if step.attempts and path in active.items and active.items[path].nodeid not in active.closed:
                junit.write_unsettled(self._config, active.items[path], run.record, step)
        active.passed.clear()
        self.notify(partial(self._config.hook.pytest_gump_run_finished, run=run.record))

    def _log_reused(self, active: ActiveRun, run: Run) -> None:
        """Count the reused steps, because their results are still valid at the end of the run."""
        for step in run.record.steps.values():
            path = StepPath.parse(step.path)
            if not step.attempts or step.attempts[-1].number not in run.reuse.numbers or REPLAN in step.path:
                continue
            item = active.item(active.root.session, path)
            if item.nodeid in active.closed:
                continue
            if step.status == "failed":
                self._log_failed(active, path, step.attempts[-1].result)
            elif step.status == "passed":
                report = self._report_without_attempt(item)
                report.gump_category = "reused"
                self._report.log(report, item.ihook)
                self._close(report, active, step.path)

    def _close(self, report: Any, active: ActiveRun, path: str) -> None:
        """Log the teardown report of a settled step, at which pytest's JUnit plugin closes the testcase."""
        teardown = _final(report, "teardown")
        teardown.duration = 0.0
        junit.write_step(self._config, teardown, active.run.record, active.run.record.steps[path])
        active.closed.add(report.nodeid)
        report.user_properties = teardown.user_properties
        self._report.log(teardown, self._config.hook)

    def _log_failed(self, active: ActiveRun, path: StepPath, result: AttemptResult | None) -> None:
        """Log a step as failed after its last attempt was logged: its replan failed, or its group gave up."""
        item = active.item(active.root.session, path)
        whole = active.run.record.steps[str(path)]
        head, detail = f"{path}: {whole.reason}", describe_failure(result) if result is not None else ""
        text = detail if detail.startswith(head) else f"{head}\n\n{detail}"
        self._report.step_given_up(active.run.record.run_id, str(path), item.nodeid, whole.reason)
        report = self._report.step_failed(item, text, active.spent_s.get(item.nodeid, 0.0))
        self._close(report, active, whole.path)

    def preflight_failed(self, active: ActiveRun, result: AttemptResult, reason: str) -> None:
        """End a run whose gates cannot run: log a failed testcase for the preflight, and skip all steps."""
        skipped = active.run.end_at_preflight(reason)
        path = StepPath.parse(PREFLIGHT)
        item = StepItem.from_parent(active.root, name=PREFLIGHT, root=active.root, step_path=path)
        self._report.preflight_failed(active.run, reason)
        whole = replace(result, step=PREFLIGHT, reason=reason)
        report = self._report.step_failed(item, describe_failure(whole))
        self._report.log(_final(report, "teardown"), self._config.hook)
        for step in skipped:
            self._log_skipped(active, step)

    def _log_skipped(self, active: ActiveRun, path: StepPath) -> None:
        item, record = active.item(active.root.session, path), active.run.record
        reason = record.steps[str(path)].reason
        active.passed.pop(item.nodeid, None)
        self._report.step_skipped(record.run_id, str(path), reason)
        junit.write_skipped(self._config, item, record, record.steps[str(path)])
        active.closed.add(item.nodeid)
        item.order = item.result = None
        item.add_marker(pytest.mark.skip(reason=reason))
        report = self._protocol.report_of(item, "setup")
        report.outcome, report.longrepr = "skipped", item.skip_location(reason)
        self._report.log_all(item, [report, _final(report, "teardown")])


def _answer(ask: Callable[[], object], job: Job) -> Decision | None:
    """Return the decision of the hook; None if the workflow's own policy applies."""
    answers: list[object] = []
    text = trouble(lambda: answers.append(ask()))
    if text is not None:
        return Stop(f"pytest_gump_retry raised {text}")
    return None if answers[0] is None else _checked(answers[0], job)


def _checked(answer: object, job: Job) -> Decision:
    """Return the hook's decision, or a Stop with the reason if it is invalid. An error would end the whole session."""
    if isinstance(answer, Stop):
        return answer
    if not isinstance(answer, Retry):
        return Stop(f"pytest_gump_retry returned {answer!r}, which is neither Retry nor Stop")
    try:
        missing = job.agent(answer.agent).missing() if answer.agent is not None else None
    except GumpError as error:
        missing = str(error.args[0])
    return answer if missing is None else Stop(f"pytest_gump_retry: {missing}")


_CATEGORIES = {"again": "retried", "passed": "", "approved": "", "judged": ""}
"""Category in pytest's summary, by verdict, for the set-up report of an attempt. Reports with "" are not counted."""


def _final(report: Any, when: str) -> Any:
    """Copy a report for another phase. The copy keeps the id, which is more than the node id since pytest 9.2."""
    final = copy.copy(report)
    final.when, final.outcome, final.longrepr, final.gump, final.gump_category = when, "passed", None, None, None
    final.sections = []
    return final
