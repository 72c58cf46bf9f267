"""The controller: turns jobs into runs, drives each run's schedule, and sees every report before pytest does."""

from __future__ import annotations

import copy
import signal
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol  # the one way to run an item's phases and log a single report; tested

from pytest_gump import junit
from pytest_gump.ci import CI
from pytest_gump.collect import JobFile, JobFolder, StepItem, WorkflowCollector, describe_failure, find_or_make
from pytest_gump.engine.attempt import Cancelled
from pytest_gump.engine.decision import Retry, Stop
from pytest_gump.engine.judge import REASON_CHARS
from pytest_gump.engine.order import AttemptResult, Outcome, from_wire, to_wire
from pytest_gump.engine.overrides import select, walk
from pytest_gump.errors import GumpError
from pytest_gump.gates.text import one_line
from pytest_gump.jobs import Job, no_spec, prepare_jobs
from pytest_gump.launch import Launch, dry_run, project_root
from pytest_gump.neighbours import Neighbours, recount, refuse_workers
from pytest_gump.report import Report
from pytest_gump.system.output import clean_text
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from pytest_gump.engine.decision import Decision, Failure
    from pytest_gump.engine.order import Order
    from pytest_gump.engine.run import Booked, Run
    from pytest_gump.workflow.model import Step


class Conductor:
    """Registered as a plugin when the command line names a workflow."""

    def __init__(self, config: pytest.Config) -> None:
        refuse_workers(config)
        self.config = config
        self.jobs: list[Job] = []
        self._jobs_of: dict[Path, tuple[Job, ...]] = {}
        self.items: dict[int, dict[str, StepItem]] = {}
        self.report = Report(config)
        config.pluginmanager.register(self.report, "gump-report")
        self.ci = CI(config)
        config.pluginmanager.register(self.ci, "gump-ci")
        config.pluginmanager.register(Neighbours(), "gump-neighbours")
        self._living: dict[str, tuple[StepItem, Run]] = {}
        self._skipped: tuple[StepPath, ...] = ()
        self._passed: dict[str, tuple[Any, Booked]] = {}
        self._spent_s: dict[str, float] = {}
        self._closed: set[str] = set()

    # -- collection ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Read and check everything that was named, before pytest collects."""
        with _usage_errors():
            self.jobs = prepare_jobs(session, project_root(self.config))
            if not self.jobs:
                raise no_spec(self.config)
        for job in self.jobs:
            self._jobs_of[job.file] = (*self._jobs_of.get(job.file, ()), job)
        if self.config.args_source is not pytest.Config.ArgsSource.ARGS:
            self.config.args = [str(job.file) for job in self.jobs]
        return (yield)

    def collect_file(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        jobs = self._jobs_of.get(path)
        return JobFile.from_parent(parent, path=path, jobs=jobs) if jobs else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect a folder of many workflows in time that grows with their number, not with its square."""
        jobs = sum(file.parent == path for file in self._jobs_of)
        return JobFolder.from_parent(parent, path=path) if jobs > 1 and not (path / "__init__.py").exists() else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, object, object]:
        """Keep steps in the order of their workflow, whatever another plugin does to the order of tests."""
        places = {item: place for place, item in enumerate(items)}
        result = yield
        steps = iter(sorted((item for item in items if isinstance(item, StepItem)), key=places.__getitem__))
        items[:] = [next(steps) if isinstance(item, StepItem) else item for item in items]
        return result

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Take the selection (`-k`, node ids, `--deselect`) as the part of the workflow to run."""
        ours: dict[int, list[StepItem]] = {}
        for item in session.items:
            if isinstance(item, StepItem):
                ours.setdefault(id(item.root.job), []).append(item)
        with _usage_errors():
            for number, job in enumerate(self.jobs):
                mine = ours.get(id(job), [])
                self.items[number] = {str(item.step_path): item for item in mine}
                if mine:
                    job.workflow = select(job.workflow, {item.step_path.static for item in mine})
        self.jobs_selected = [number for number, items in self.items.items() if items]

    # -- the loop ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.config.option.collectonly or not self.jobs_selected:
            return None
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            return None
        if self.config.getoption("gump_dry_run"):
            with _usage_errors():
                for number in self.jobs_selected:
                    self.report.print_lines(dry_run(self.config, self.jobs[number], self.report.columns))
            return True
        ordinary = [item for item in session.items if not isinstance(item, StepItem)]
        with _usage_errors():
            launches = [Launch.prepare(self.config, self.jobs[number]) for number in self.jobs_selected]
        for number, item in enumerate(ordinary):
            following = ordinary[number + 1] if number + 1 < len(ordinary) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            _stop_if_asked(session)
        for number, launch in zip(self.jobs_selected, launches, strict=True):
            self._conduct(session, launch, self.items[number])
            _stop_if_asked(session)
        return True

    def _conduct(self, session: pytest.Session, launch: Launch, items: dict[str, StepItem]) -> None:
        templates = list(items.values())
        root = templates[0].root
        root.job.runner = launch.carry_out
        with terminable(), _failing_in_one_line(session), ExitStack() as stack:
            with _usage_errors():
                run = stack.enter_context(launch.start(self.report.listen, partial(self._run_finished, items)))
            self.report.run_started(run, root.nodeid)
            self.ci.run_started(run.record, root.job.loaded, project_root(self.config))
            if any(step.parallel for step in walk(run.inputs.workflow.steps)):
                self.report.say_once("parallel: true runs one after the other in this version")
            refusal = self._preflight(launch, run)
            while (order := run.next()) is not None:
                known = len(items)
                item = find_or_make(root, StepPath.parse(order.step), items)
                if len(items) > known:
                    _update_items(session, templates, items)
                self._attempt(item, run, order, refusal)
                if session.shouldfail or session.shouldstop:
                    break

    def _preflight(self, launch: Launch, run: Run) -> str | None:
        order = None if self.config.getoption("gump_no_preflight") else run.preflight()
        if order is None:
            return None
        refusal = run.settle_preflight(launch.carry_out(order))
        self.report.preflight_finished(run)
        return refusal

    def _attempt(self, item: StepItem, run: Run, order: Order, refusal: str | None) -> None:
        run.begin(order)
        item.order, item.result = order, None
        if refusal is not None:
            item.result = run.no_attempt(order, Outcome.GATE_ERROR, refusal)
        else:
            item.result = run.refuse(order)
        self._living[item.nodeid] = item, run
        self.report.attempt_started(run)
        item.ihook.pytest_gump_attempt_started(order=order)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        except Cancelled as error:
            self.report.attempt_cancelled(run.finish_attempt(order, error.result))
            raise KeyboardInterrupt(str(error)) from None
        for path in self._skipped:
            self._log_skipped(item.root, run, path)
        self._skipped = ()

    # -- reports -------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run one attempt and log one report for it; the teardown is logged when the step is settled."""
        if not isinstance(item, StepItem):
            return None
        reports = runtestprotocol(item, log=False, nextitem=None)
        if item.nodeid not in self._living:
            self.report.hand_on(item, reports)
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
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> Generator[None, object, object]:
        """Settle the attempt before pytest, and every other plugin, counts it.

        A failure that will be retried is none; a pass counts when the run ends, for a later step may still restart
        from this one. So every step is counted once; of the attempts in between, others see a phase that passed.
        """
        if getattr(report, "gump", None) is None:
            return (yield)
        item, run = self._living.pop(report.nodeid)
        booked = self._settle(item, run, report)
        verdict = booked.settled.verdict
        part_of_replan = verdict == "failed" and booked.settled.step is not None
        self._passed.pop(report.nodeid, None)
        self._spent_s[report.nodeid] = self._spent_s.get(report.nodeid, 0.0) + report.duration
        report.duration = self._spent_s[report.nodeid]
        if verdict == "passed":
            self._passed[report.nodeid] = _final(report, "call"), booked
        if verdict != "failed" or part_of_replan:
            _make_phase(report, "retried" if part_of_replan else _CATEGORIES.get(verdict, verdict))
        self.report.attempt_finished(booked)
        with self.report.own_lines(report):
            result = yield
        if part_of_replan:
            self._log_failed(item, run, booked)
        elif verdict == "failed":
            self._close(report, run, booked.record.step)
        self._skipped = booked.settled.skipped
        return result

    def _settle(self, item: StepItem, run: Run, report: Any) -> Booked:
        order = item.order
        assert order is not None  # noqa: S101 - only attempts have a report of ours
        wire = report.gump["result"]
        if wire is not None:
            result = from_wire(AttemptResult, wire)
        else:
            result = run.no_attempt(order, Outcome.CRASHED, f"the step itself broke: {_last_word(report.longrepr)}")
        run.finish_attempt(order, result)
        item.ihook.pytest_gump_attempt_finished(order=order, result=result)

        def decide(step: Step, path: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
            answer = item.ihook.pytest_gump_retry(step=step, path=str(path), failures=tuple(failures))
            return own if answer is None else _checked(answer, item.root.job)

        return run.settle(order, result, decide)

    def _run_finished(self, items: dict[str, StepItem], run: Run) -> None:
        """Count the steps that passed, in the order in which they last ran."""
        for report, booked in self._passed.values():
            with self.report.own_lines(report):
                self.config.hook.pytest_runtest_logreport(report=report)
            self._close(report, run, booked.record.step)
        for path, step in run.record.steps.items():
            if step.attempts and items[path].nodeid not in self._closed:
                junit.write_unsettled(self.config, items[path], run.record, step)
        self._passed.clear()
        self._spent_s.clear()
        self.config.hook.pytest_gump_run_finished(run=run.record)

    def _close(self, report: Any, run: Run, path: str) -> None:
        """JUnit closes a testcase at its teardown report, so that is logged once, when the step is settled."""
        teardown = _final(report, "teardown")
        teardown.duration = 0.0
        junit.write_step(self.config, teardown, run.record, run.record.steps[path])
        self._closed.add(report.nodeid)
        report.user_properties = teardown.user_properties
        with self.report.own_lines(teardown):
            self.config.hook.pytest_runtest_logreport(report=teardown)

    def _log_failed(self, part: StepItem, run: Run, booked: Booked) -> None:
        """Fail the step whose replan the part belonged to: no attempt of its own will tell."""
        path = booked.settled.step
        assert path is not None  # noqa: S101 - asked by the caller
        number = self.jobs.index(part.root.job)
        item = find_or_make(part.root, path, self.items[number])
        whole = run.record.steps[str(path)]
        report = self.report.step_failed(item, f"{path}: {whole.reason}\n\n{describe_failure(booked.result)}")
        self._close(report, run, whole.path)

    def _log_skipped(self, root: WorkflowCollector, run: Run, path: StepPath) -> None:
        reason = run.schedule.reason
        item = find_or_make(root, path, self.items[self.jobs.index(root.job)])
        self._passed.pop(item.nodeid, None)
        self.report.step_skipped(str(path), reason)
        junit.write_skipped(self.config, item, run.record, run.record.steps[str(path)])
        self._closed.add(item.nodeid)
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


def _update_items(session: pytest.Session, templates: list[StepItem], items: dict[str, StepItem]) -> None:
    """Put the items of plan items in the place of their templates: `session.items` and counts tell the truth."""
    made = [item for item in items.values() if item not in templates]
    expanded = {item.step_path.static for item in made}
    kept = [item for item in templates if item.step_path.static not in expanded]
    ours = {*templates, *made}
    session.items = [*(item for item in session.items if item not in ours), *kept, *made]
    session.testscollected = len(session.items)
    recount(session)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the session as Ctrl-C does: children stopped, ledger closed, exit code 2."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _usage_errors:  # noqa: N801 - reads as a statement: `with _usage_errors():`
    """Turn our errors into pytest's usage error: exit code 4, no traceback."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, GumpError):
            raise pytest.UsageError(clean_text(str(error))) from None


@contextmanager
def _failing_in_one_line(session: pytest.Session) -> Iterator[None]:
    """Let an error of ours that ends a run (a full disk, say) fail the session with a line that tells it."""
    try:
        yield
    except GumpError as error:
        session.shouldfail = one_line(str(error), REASON_CHARS)
        raise session.Failed(session.shouldfail) from None


def _stop_if_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
