"""The controller: collects the jobs of the command line and runs them in pytest's run loop.

Modules that only a run needs are imported when a run starts, so that collection stays fast.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_gump.collect import JobFile, JobFolder, StepItem
from pytest_gump.errors import ConfigError
from pytest_gump.executors.worker_count import has_workers, refuse_distribution
from pytest_gump.jobs.arguments import names_nothing, no_spec, ordinary_arguments, own_arguments
from pytest_gump.jobs.command_line import only_shows
from pytest_gump.jobs.job import Job, read_jobs
from pytest_gump.jobs.session_settings import setting_notes
from pytest_gump.reporters.ci import CI
from pytest_gump.reporters.exit_code import ExitCode
from pytest_gump.reporters.other_plugins import OtherPlugins
from pytest_gump.reporters.report import Report
from pytest_gump.session.interrupts import usage_errors
from pytest_gump.session.last_failed import LastFailed
from pytest_gump.session.selection import Selection, selects
from pytest_gump.system.garbage import freeze_once, no_garbage
from pytest_gump.workflow.edit import select

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from pytest_gump.executors.pool import WorkerPool


class Conductor:
    """Plugin that is registered if the command line names a workflow."""

    def __init__(self, config: pytest.Config) -> None:
        refuse_distribution(config)
        refuse_set_up(config)
        self.config = config
        self.exit_code, self.report, self.ci = ExitCode(config), Report(config), CI(config)
        self._last_failed, self._selection = LastFailed(config), Selection(config)
        self.workers: WorkerPool | None = None
        if has_workers(config):
            from pytest_gump.executors.pool import WorkerPool

            self.workers = WorkerPool(config, ordinary_arguments(config))
        self.jobs: list[Job] = []
        self.selected: list[tuple[Job, dict[str, StepItem]]] = []
        """Jobs with at least one selected step, each with its selected items by step path."""
        self._jobs_of: dict[Path, tuple[Job, ...]] = {}
        self._specs: set[Path] = set()
        plugins = {
            "exit-code": self.exit_code, "workers": self.workers, "report": self.report, "ci": self.ci,
            "other-plugins": OtherPlugins(), "last-failed": self._last_failed, "selection": self._selection,
        }  # fmt: skip
        for name, plugin in plugins.items():
            if plugin is not None:
                config.pluginmanager.register(plugin, f"gump-{name}")

    # -- collection ----------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Before xdist starts workers, read all named files and refuse jobs that cannot run."""
        if self.workers is None:
            return
        from pytest_gump.jobs.check import check

        with usage_errors():
            self._read_jobs(session)
            self.workers.files = [*{file for job in self.jobs for file in (job.file, job.spec)}]
            if names_nothing(self.config):
                raise no_spec(self.config)
            if not selects(self.config):
                for job in self.jobs:  # a selection is applied only after collection
                    check(self.config, job)

    def _read_jobs(self, session: pytest.Session) -> None:
        self.jobs = read_jobs(session)
        if not self.jobs:
            raise no_spec(self.config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Read and check all named files before pytest collects."""
        with no_garbage():
            if not self.jobs:
                with usage_errors():
                    self._read_jobs(session)
            for job in self.jobs:
                self._jobs_of[job.file] = (*self._jobs_of.get(job.file, ()), job)
                self._specs.add(job.spec)
            self._last_failed.keep(self._jobs_of)
            if self.config.args_source is not pytest.Config.ArgsSource.ARGS:
                self.config.args = [str(job.file) for job in self.jobs]
            result = yield
            if self.workers is not None:  # xdist collects nothing here; the workers collect ordinary tests only
                self.config.args = own_arguments(self.config) or self.config.args
                session.perform_collect()
            return result

    def collect_file(self, path: Path, parent: pytest.Collector) -> list[pytest.Collector] | None:
        """Return the collectors of a file of a run; None for another file."""
        jobs = self._jobs_of.get(path)
        if jobs:
            return [JobFile.from_parent(parent, path=path, jobs=jobs)]
        return [] if path in self._specs else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect a folder of many workflows in linear instead of quadratic time."""
        jobs = sum(file.parent == path for file in self._jobs_of)
        return JobFolder.from_parent(parent, path=path) if jobs > 1 and not (path / "__init__.py").exists() else None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Reduce each workflow to its selected steps (node ids, `-k`, `-m`, `--deselect`)."""
        if self._selection.is_broken:
            return
        selected = self._selection.steps
        known = {*session.items}
        session.items += [step for step in selected if step not in known]
        of_job: dict[int, list[StepItem]] = {}
        for step in selected:
            of_job.setdefault(id(step.root.job), []).append(step)
        with usage_errors():
            for job in self.jobs:
                if items := of_job.get(id(job), []):
                    workflow = select(job.workflow, {item.step_path.static for item in items})
                    self.selected.append(
                        (replace(job, workflow=workflow), {str(item.step_path): item for item in items})
                    )
                else:
                    self._refuse_missing(job)
        self.exit_code.expect(len(self.selected), self.report.statuses)

    def _refuse_missing(self, job: Job) -> None:
        """Print a line if the command line selects no step of a job.

        Raises:
            ConfigError: The command line selects nothing, so another plugin prevented the collection of the steps.
        """
        if not selects(self.config):
            raise ConfigError(
                f"{job.file}: another plugin prevented the collection of its steps",
                hint="check conftest.py and the installed plugins",
            )
        text = f"no step of {job.workflow.name} on {job.spec.name} is selected"
        self.report.say_once(f"{text} by the command line (node ids, -k, -m, --deselect)")

    # -- the loop ------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.config.option.collectonly:
            return None
        if self.workers is None and (not self.selected or _has_errors(session)):
            return None
        self.report.show_notes(setting_notes(self.config))
        for job, _ in self.selected:
            self.report.show_notes(job.loaded.notes)
        if self.config.getoption("gump_dry_run"):
            freeze_once()
            with usage_errors():
                for job, _ in self.selected:
                    self._print_dry_run(job)
            return True
        self._run(session)
        return True

    def _print_dry_run(self, job: Job) -> None:
        previous = job.previous
        if previous is None:
            from pytest_gump.jobs.dry_run import dry_run

            self.report.print_lines(dry_run(self.config, job, self.report.columns))
        else:
            from pytest_gump.jobs.prepare import resumed_job
            from pytest_gump.session.resume import replay_previous
            from pytest_gump.system.git.repository import Repository

            prepared = resumed_job(job, previous, Repository.open(job.project), run_id=previous.run.id)
            replay, is_resumed = replay_previous(prepared, previous), previous.step is None
            leaves = replay.schedule.leaves()
            self.report.dry_run_of_resume(previous.run.record, leaves, replay.reruns, is_resumed=is_resumed)

    def _run(self, session: pytest.Session) -> None:
        with no_garbage():
            from pytest_gump.jobs.check import look_ahead

            if self.selected:
                look_ahead(self.config, self.selected[0][0].project)
            from pytest_gump.session.runner import Runner

            freeze_once()
        runner = Runner(session, self.report, self.ci)
        if self.workers is None:
            runner.in_this_process(self.selected)
        else:
            with self.workers.at_work():
                runner.by_workers(self.workers, self.selected)


def _has_errors(session: pytest.Session) -> bool:
    return bool(session.testsfailed) and not session.config.option.continue_on_collection_errors


def refuse_set_up(config: pytest.Config) -> None:
    """Refuse options of pytest that execute no tests.

    Raises:
        UsageError: `--setup-plan` or `--setup-only` is given.
    """
    name = next(
        (f"--{option}" for option in ("setup-plan", "setup-only") if config.getoption(option.replace("-", ""), False)),
        None,
    )
    if name is not None and not only_shows(config):
        raise pytest.UsageError(
            f"{name} executes no tests, but a run must execute its steps\n"
            "  hint: use --gump-dry-run to see what the workflow would do"
        )
