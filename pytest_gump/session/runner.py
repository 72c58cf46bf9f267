"""Prepares, opens, runs and closes the runs of a session."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.collect import StepItem
from pytest_gump.engine.run.quota import Quota
from pytest_gump.executors.in_process import InProcessExecutor
from pytest_gump.jobs.previous_run import last_failed_notes
from pytest_gump.reporters.live import TOOL_VERBOSITY
from pytest_gump.reporters.report import labels
from pytest_gump.session.active_run import ActiveRun
from pytest_gump.session.dispatch import OrderLoop
from pytest_gump.session.interrupts import failing_in_one_line, interruptible, stop_if_asked, terminable, usage_errors
from pytest_gump.session.item_protocol import StepReports
from pytest_gump.session.opening import open_run, prepare
from pytest_gump.session.start import start
from pytest_gump.settings.settings import Settings
from pytest_gump.workflow.edit import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_gump.executors.pool import WorkerPool
    from pytest_gump.executors.protocol import Executor
    from pytest_gump.jobs.job import Job
    from pytest_gump.jobs.prepare import PreparedJob
    from pytest_gump.reporters.ci import CI
    from pytest_gump.reporters.report import Report

    Selected = Sequence[tuple[Job, dict[str, StepItem]]]
    """The jobs of the session, each with its items by step path."""
    Prepared = Sequence[tuple[PreparedJob, dict[str, StepItem]]]


class Runner:
    def __init__(self, session: pytest.Session, report: Report, ci: CI) -> None:
        self._session = session
        self._config = session.config
        self._report = report
        self._ci = ci
        self._steps = StepReports(session.config, report)

    def in_this_process(self, selected: Selected) -> None:
        """Run the ordinary tests, then the workflow runs, one after the other."""
        self._steps.may_ask = True
        runs = self._prepare(selected)
        has_run = self._run_tests()
        for prepared, items in runs:
            self._conduct(replace(prepared, status=None) if has_run else prepared, items)
            has_run = True
            stop_if_asked(self._session)

    def by_workers(self, workers: WorkerPool, selected: Selected) -> None:
        """Run the ordinary tests, then all workflow runs in parallel."""
        runs = [(replace(prepared, status=None), items) for prepared, items in self._prepare(selected)]
        workers.run_tests(self._session)
        stop_if_asked(self._session)
        self._steps.may_ask = len(runs) == 1
        if workers.xdist.has_collection_errors:
            self._stop_at_collection_errors()
        self._conduct_all(workers, runs)

    def _prepare(self, selected: Selected) -> Prepared:
        self._stop_at_collection_errors()
        with usage_errors():
            return [(prepare(self._config, job), items) for job, items in selected]

    def _stop_at_collection_errors(self) -> None:
        if self._session.testsfailed and not self._config.option.continue_on_collection_errors:
            raise self._session.Interrupted("errors during collection")

    def _run_tests(self) -> bool:
        """Run the ordinary tests. Return True if there are any."""
        ordinary = [item for item in self._session.items if not isinstance(item, StepItem)]
        for number, item in enumerate(ordinary):
            following = ordinary[number + 1] if number + 1 < len(ordinary) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            stop_if_asked(self._session)
        return bool(ordinary)

    def _conduct(self, prepared: PreparedJob, items: dict[str, StepItem]) -> None:
        """Carry out one run in this process."""
        with terminable(), failing_in_one_line(self._session), ExitStack() as stack:
            run = self._open(prepared, items, stack, is_here=True)
            if any(step.parallel for step in walk(prepared.inputs.workflow.steps)):
                self._report.say_once(self._why_serial())
            executor = InProcessExecutor({prepared.inputs.run_id: run.context.carry_out})
            loop = self._loop(executor, prepared.settings)
            executor.set_listener(loop.on_event)
            loop.run([run])

    def _conduct_all(self, workers: WorkerPool, prepared: Prepared) -> None:
        """Carry out all runs in parallel, in the workers."""
        with interruptible() as interrupted, failing_in_one_line(self._session), ExitStack() as stack:
            runs = [self._open(job, items, stack.enter_context(ExitStack()), is_here=False) for job, items in prepared]
            self._report.set_labels(labels([run.run.record for run in runs]))
            settings = prepared[0][0].settings if prepared else Settings()
            loop = self._loop(workers, settings)
            shows_tools = self._config.get_verbosity() >= TOOL_VERBOSITY
            setups = [run.context.run_setup(shows_tools=shows_tools) for run in runs]
            workers.set_up(setups, loop.on_event, most=settings.workers)
            loop.run(runs, interrupted)
        stop_if_asked(self._session)

    def _loop(self, executors: Executor, settings: Settings) -> OrderLoop:
        quota, slots = Quota(settings), settings.slots_of
        return OrderLoop(self._session, executors, self._steps, self._report, slots=slots, quota=quota)

    def _open(self, prepared: PreparedJob, items: dict[str, StepItem], stack: ExitStack, *, is_here: bool) -> ActiveRun:
        needs_preflight = not self._config.getoption("gump_no_preflight")
        with usage_errors():
            opened = partial(open_run, self._config)
            run, context = stack.enter_context(
                start(prepared, opened, lambda: self._steps.run_finished(active), is_here=is_here)
            )
            active = ActiveRun(run, context, items, stack, needs_preflight)
        notes = (*last_failed_notes(self._config), context.location_note)
        for line in filter(None, notes):
            self._report.say_once(line)
        self._report.run_started(run, active.root.nodeid)
        self._ci.run_started(run.record, prepared.job.loaded, prepared.job.project)
        return active

    def _why_serial(self) -> str:
        has_xdist = self._config.pluginmanager.has_plugin("xdist")
        why = "there are no workers (-n)" if has_xdist else "pytest-xdist is not available"
        return f"parallel groups run one step at a time: {why}"
