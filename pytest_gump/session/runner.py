"""A session's runs: prepared, opened, carried out here or by workers, and closed."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_gump.collect import StepItem
from pytest_gump.engine.run.quota import Quota
from pytest_gump.executors.in_process import InProcess
from pytest_gump.jobs.files import project_root
from pytest_gump.jobs.previous_run import last_failed_notes
from pytest_gump.reporters.report import labels
from pytest_gump.session.active_run import ActiveRun
from pytest_gump.session.dispatch import OrderLoop
from pytest_gump.session.interrupts import failing_in_one_line, interruptible, stop_if_asked, terminable, usage_errors
from pytest_gump.session.item_protocol import StepReports
from pytest_gump.session.resume import prepare
from pytest_gump.settings.settings import Settings
from pytest_gump.workflow.edit import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_gump.engine.run.run import Run
    from pytest_gump.executors.pool import Workers
    from pytest_gump.executors.protocol import Executors
    from pytest_gump.jobs.job import Job
    from pytest_gump.reporters.ci import CI
    from pytest_gump.reporters.report import Report

    Selected = Sequence[tuple[Job, dict[str, StepItem]]]
    """The jobs of the session, each with its items by step path."""


class Runner:
    def __init__(self, session: pytest.Session, report: Report, ci: CI) -> None:
        self._session = session
        self._config = session.config
        self._report = report
        self._ci = ci
        self._steps = StepReports(session.config, report)
        session.config.pluginmanager.register(self._steps, "gump-steps")

    def in_this_process(self, selected: Selected) -> None:
        """Ordinary tests first, then one run after the other."""
        runs = self._prepare(selected)
        self._run_tests()
        for run in runs:
            self._conduct(run)
            stop_if_asked(self._session)

    def by_workers(self, workers: Workers, selected: Selected) -> None:
        """Ordinary tests first, then all runs side by side."""
        runs = self._prepare(selected)
        workers.run_tests(self._session)
        stop_if_asked(self._session)
        if workers.xdist.has_collection_errors:
            self._stop_at_collection_errors()
        self._conduct_all(workers, runs)

    def _prepare(self, selected: Selected) -> list[ActiveRun]:
        self._stop_at_collection_errors()
        with usage_errors():
            return [ActiveRun(prepare(self._config, job), items) for job, items in selected]

    def _stop_at_collection_errors(self) -> None:
        if self._session.testsfailed and not self._config.option.continue_on_collection_errors:
            raise self._session.Interrupted("errors during collection")

    def _run_tests(self) -> None:
        ordinary = [item for item in self._session.items if not isinstance(item, StepItem)]
        for number, item in enumerate(ordinary):
            following = ordinary[number + 1] if number + 1 < len(ordinary) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            stop_if_asked(self._session)

    def _conduct(self, run: ActiveRun) -> None:
        """Carry out one run in this process."""
        with terminable(), failing_in_one_line(self._session), run.stack:
            self._open(run, is_here=True)
            if any(step.parallel for step in walk(run.run.inputs.workflow.steps)):
                self._report.say_once(self._why_serial())
            executor = InProcess({run.run.inputs.run_id: run.launch.carry_out})
            loop = self._loop(executor, [run])
            executor.set_listener(loop.hear)
            loop.run([run])

    def _conduct_all(self, workers: Workers, runs: list[ActiveRun]) -> None:
        """Have all runs carried out by the workers, side by side."""
        with interruptible() as interrupted, failing_in_one_line(self._session), ExitStack() as stack:
            for run in runs:
                stack.enter_context(run.stack)
                self._open(run, is_here=False)
            self._report.tell_apart(labels([run.run.record for run in runs]))
            loop = self._loop(workers, runs)
            workers.set_up([run.launch.run_setup() for run in runs], loop.hear)
            loop.run(runs, interrupted)
        stop_if_asked(self._session)

    def _loop(self, executors: Executors, runs: list[ActiveRun]) -> OrderLoop:
        settings = runs[0].launch.settings if runs else Settings()
        for run in runs:
            run.needs_preflight = not self._config.getoption("gump_no_preflight")
        quota, slots = Quota(settings), settings.slots_of
        return OrderLoop(self._session, executors, self._steps, self._report, slots=slots, quota=quota)

    def _open(self, one: ActiveRun, *, is_here: bool) -> None:
        def finished(run: Run) -> None:
            one.run = run
            self._steps.run_finished(one)

        with usage_errors():
            one.run = one.stack.enter_context(one.launch.start(finished, is_here=is_here))
        for line in last_failed_notes(self._config):
            self._report.say_once(line)
        if (note := one.launch.place_note) is not None:
            self._report.say_once(note)
        self._report.run_started(one.run, one.root.nodeid)
        self._ci.run_started(one.run.record, one.root.job.loaded, project_root(self._config))

    def _why_serial(self) -> str:
        has_xdist = self._config.pluginmanager.has_plugin("xdist")
        why = "there are no workers (-n)" if has_xdist else "pytest-xdist is not there"
        return f"parallel: true runs one after the other: {why}"
