"""The controller: collects the jobs of the command line, and has them performed when pytest runs its loop.

What only a run needs is imported when one begins: collecting a thousand workflows does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_gump.arguments import names_nothing, ordinary_arguments, own_arguments
from pytest_gump.ci import CI
from pytest_gump.collect import JobFile, JobFolder, StepItem
from pytest_gump.crew import has_workers, refuse_distribution
from pytest_gump.earlier import take_earlier
from pytest_gump.endings import usage_errors
from pytest_gump.engine.overrides import select
from pytest_gump.job_files import no_spec, project_root
from pytest_gump.jobs import Job, no_garbage, prepare_jobs
from pytest_gump.last_failed import LastFailed
from pytest_gump.neighbours import Neighbours
from pytest_gump.report import Report

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_gump.workers import Workers


class Conductor:
    """Registered as a plugin when the command line names a workflow."""

    def __init__(self, config: pytest.Config) -> None:
        refuse_distribution(config)
        self.config = config
        self.workers: Workers | None = None
        if has_workers(config):
            from pytest_gump.workers import Workers

            self.workers = Workers(config, ordinary_arguments(config))
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
        self._last_failed = LastFailed(config)
        config.pluginmanager.register(self._last_failed, "gump-last-failed")

    # -- collection ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Refuse what cannot run before xdist starts workers for it."""
        option = self.config.option
        if self.workers is None:
            return
        from pytest_gump.launch import Launch

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
        for job in self.jobs:
            take_earlier(self.config, job)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Read and check everything that was named, before pytest collects."""
        with no_garbage():
            if not self.jobs:
                with usage_errors():
                    self._read_jobs(session)
            for job in self.jobs:
                self._jobs_of[job.file] = (*self._jobs_of.get(job.file, ()), job)
            self._last_failed.keep(self._jobs_of)
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
        if self.workers is None and (not self.jobs_selected or _has_errors(session)):
            return None
        for number in self.jobs_selected:
            self.report.workflow_notes(self.jobs[number].loaded.notes)
        if self.config.getoption("gump_dry_run"):
            with usage_errors():
                for number in self.jobs_selected:
                    self._foretell(self.jobs[number])
            return True
        self._run(session)
        return True

    def _foretell(self, job: Job) -> None:
        from pytest_gump.launch import dry_run
        from pytest_gump.relaunch import foresee

        if job.earlier is None:
            self.report.print_lines(dry_run(self.config, job, self.report.columns))
        else:
            schedule, taken = foresee(self.config, job)
            self.report.foreseen(job.earlier.record, schedule.leaves(), taken, goes_on=job.earlier.step is None)

    def _run(self, session: pytest.Session) -> None:
        from pytest_gump.performance import Performance

        performance = Performance(session, self.report, self.ci)
        selected = [(self.jobs[number], self.items[number]) for number in self.jobs_selected]
        if self.workers is None:
            performance.in_this_process(selected)
        else:
            with self.workers.at_work():
                performance.by_workers(self.workers, selected)


def _has_errors(session: pytest.Session) -> bool:
    return bool(session.testsfailed) and not session.config.option.continue_on_collection_errors
