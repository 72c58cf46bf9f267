"""The controller: collects the jobs of the command line, opens a run for each, and has them carried out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from pytest_gump.arguments import names_nothing, ordinary_arguments, own_arguments
from pytest_gump.ci import CI
from pytest_gump.collect import JobFile, JobFolder, StepItem
from pytest_gump.crew import has_workers, refuse_distribution
from pytest_gump.endings import failing_in_one_line, interruptible, stop_if_asked, terminable, usage_errors
from pytest_gump.engine.overrides import select, walk
from pytest_gump.executors import InProcess
from pytest_gump.jobs import Job, no_garbage, no_spec, prepare_jobs
from pytest_gump.launch import Launch, dry_run, project_root
from pytest_gump.neighbours import Neighbours
from pytest_gump.open_run import OpenRun
from pytest_gump.order_loop import OrderLoop
from pytest_gump.report import Report, labels
from pytest_gump.step_reports import StepReports
from pytest_gump.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_gump.engine.run import Run
    from pytest_gump.executors import Executors


class Conductor:
    """Registered as a plugin when the command line names a workflow."""

    def __init__(self, config: pytest.Config) -> None:
        refuse_distribution(config)
        self.config = config
        self.workers = Workers(config, ordinary_arguments(config)) if has_workers(config) else None
        if self.workers is not None:
            config.pluginmanager.register(self.workers, "gump-workers")
        self.jobs: list[Job] = []
        self.jobs_selected: list[int] = []
        self._jobs_of: dict[Path, tuple[Job, ...]] = {}
        self.items: dict[int, dict[str, StepItem]] = {}
        self.report = Report(config)
        config.pluginmanager.register(self.report, "gump-report")
        self.ci = CI(config)
        config.pluginmanager.register(self.ci, "gump-ci")
        config.pluginmanager.register(Neighbours(), "gump-neighbours")
        self.steps = StepReports(config, self.report)
        config.pluginmanager.register(self.steps, "gump-steps")

    # -- collection ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Refuse what cannot run before xdist starts workers for it."""
        option = self.config.option
        if self.workers is None:
            return
        with usage_errors():
            self._read_jobs(session)
            if names_nothing(self.config):
                raise no_spec(self.config)
            if not (option.keyword or option.deselect or any("::" in word for word in map(str, self.config.args))):
                for job in self.jobs:  # with a selection, it is not known yet which steps there are
                    Launch.check(self.config, job)

    def _read_jobs(self, session: pytest.Session) -> None:
        self.jobs = prepare_jobs(session, project_root(self.config))
        if not self.jobs:
            raise no_spec(self.config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Read and check everything that was named, before pytest collects."""
        with no_garbage():
            if not self.jobs:
                with usage_errors():
                    self._read_jobs(session)
            for job in self.jobs:
                self._jobs_of[job.file] = (*self._jobs_of.get(job.file, ()), job)
            if self.config.args_source is not pytest.Config.ArgsSource.ARGS:
                self.config.args = [str(job.file) for job in self.jobs]
            result = yield
            if self.workers is not None:  # xdist collects nothing here; the workers collect ordinary tests only
                self.config.args = own_arguments(self.config) or self.config.args
                session.perform_collect()
            return result

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
        with usage_errors():
            for number, job in enumerate(self.jobs):
                mine = ours.get(id(job), [])
                self.items[number] = {str(item.step_path): item for item in mine}
                if mine:
                    job.workflow = select(job.workflow, {item.step_path.static for item in mine})
        self.jobs_selected = [number for number, items in self.items.items() if items]

    # -- the loop ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.config.option.collectonly:
            return None
        if self.workers is not None:
            with self.workers.at_work():
                self._run(session)
            return True
        if not self.jobs_selected or self._has_collection_errors(session):
            return None
        if self.config.getoption("gump_dry_run"):
            with usage_errors():
                for number in self.jobs_selected:
                    self.report.print_lines(dry_run(self.config, self.jobs[number], self.report.columns))
            return True
        self._run(session)
        return True

    def _run(self, session: pytest.Session) -> None:
        self._stop_at_collection_errors(session)
        with usage_errors():
            runs = [OpenRun(Launch.prepare(self.config, self.jobs[one]), self.items[one]) for one in self.jobs_selected]
        if self.workers is not None:
            self.workers.run_ordinary(session)
            stop_if_asked(session)
            if self.workers.xdist.has_collection_errors:
                self._stop_at_collection_errors(session)
            self._conduct_all(session, self.workers, runs)
        else:
            self._run_ordinary(session)
            for run in runs:
                self._conduct(session, run)
                stop_if_asked(session)

    def _stop_at_collection_errors(self, session: pytest.Session) -> None:
        if self._has_collection_errors(session):
            raise session.Interrupted("errors during collection")

    def _has_collection_errors(self, session: pytest.Session) -> bool:
        return bool(session.testsfailed) and not session.config.option.continue_on_collection_errors

    def _run_ordinary(self, session: pytest.Session) -> None:
        ordinary = [item for item in session.items if not isinstance(item, StepItem)]
        for number, item in enumerate(ordinary):
            following = ordinary[number + 1] if number + 1 < len(ordinary) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            stop_if_asked(session)

    def _conduct(self, session: pytest.Session, run: OpenRun) -> None:
        """Carry out one run in this process."""
        with terminable(), failing_in_one_line(session), run.stack:
            self._open(run)
            if any(step.parallel for step in walk(run.run.inputs.workflow.steps)):
                self.report.say_once(self._why_serial())
            loop = self._loop(session, InProcess({run.run.inputs.run_id: run.launch.carry_out}), [run])
            loop.run([run])

    def _conduct_all(self, session: pytest.Session, workers: Workers, runs: list[OpenRun]) -> None:
        """Have all runs carried out by the workers, side by side."""
        with interruptible() as interrupted, failing_in_one_line(session), ExitStack() as stack:
            for run in runs:
                stack.enter_context(run.stack)
                self._open(run)
            self.report.tell_apart(labels([run.run.record for run in runs]))
            loop = self._loop(session, workers, runs)
            workers.equip([run.launch.equipment() for run in runs], loop.hear)
            loop.run(runs, interrupted)
        stop_if_asked(session)

    def _loop(self, session: pytest.Session, executors: Executors, runs: list[OpenRun]) -> OrderLoop:
        slots = runs[0].launch.settings.slots_of if runs else {}
        for run in runs:
            run.needs_preflight = not self.config.getoption("gump_no_preflight")
        return OrderLoop(session, executors, self.steps, self.report, slots)

    def _open(self, one: OpenRun) -> None:
        def finished(run: Run) -> None:
            one.run = run
            self.steps.run_finished(one)

        with usage_errors():
            one.run = one.stack.enter_context(one.launch.start(self.report.live.only, finished))
        self.report.run_started(one.run, one.root.nodeid)
        self.ci.run_started(one.run.record, one.root.job.loaded, project_root(self.config))

    def _why_serial(self) -> str:
        has_xdist = self.config.pluginmanager.has_plugin("xdist")
        why = "there are no workers (-n)" if has_xdist else "pytest-xdist is not there"
        return f"parallel: true runs one after the other: {why}"
