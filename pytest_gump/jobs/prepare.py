"""From a job to one that may start: repository, base and gate commands are settled, or the job is refused."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.run_id import new_run_id
from pytest_gump.engine.reporting.dry_run import describe
from pytest_gump.engine.run.order_builder import RunInputs
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.jobs.base import Base, base_of, find_base
from pytest_gump.jobs.check import check
from pytest_gump.jobs.header import run_header
from pytest_gump.jobs.record_option import record_into
from pytest_gump.system.git.repository import Repository

if TYPE_CHECKING:
    import pytest

    from pytest_gump.engine.resume.replay import Replay
    from pytest_gump.jobs.job import Job
    from pytest_gump.jobs.previous_run import PreviousRun
    from pytest_gump.settings.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class PreparedJob:
    """A job that nothing refuses, with all that its run is made from."""

    job: Job
    repository: Repository
    base: Base
    folder: str
    """Start folder of the run's first session, relative to the project; gates run in the package around it."""
    inputs: RunInputs
    replay: Replay | None = None
    """Of the run that is resumed."""

    @classmethod
    def of(cls, job: Job, repository: Repository, base: Base, *, run_id: str, folder: str) -> PreparedJob:
        spec_name = os.path.relpath(job.spec, repository.root)
        inputs = RunInputs(
            run_id=run_id,
            workflow=job.workflow,
            workflow_text=job.loaded.text,
            spec_name=job.spec.name if spec_name.startswith("..") else spec_name,
            spec_bytes=job.spec_bytes,
            base=base.commit,
            commands=tuple(sorted(gate_commands(repository, base.commit, job.settings, folder).items())),
            settings=job.settings,
            cli_of=job.cli_of,
            inputs=job.inputs,
            describe_agent=job.describe_agent,
        )
        return cls(job, repository, base, folder, inputs)

    @property
    def settings(self) -> Settings:
        """With the cassette of the run, if it is recorded."""
        return self.inputs.settings

    def recorded(self, config: pytest.Config) -> PreparedJob:
        """Create the cassette of the run, if it is recorded.

        Raises:
            ConfigError: it cannot be created.
        """
        settings = record_into(config, self.settings, self.repository.root, self.inputs.run_id)
        return replace(self, inputs=replace(self.inputs, settings=settings))

    def header(self, config: pytest.Config) -> dict[str, Any]:
        """What `run.json` says of the run."""
        return run_header(
            config, self.job, self.repository, self.base,
            run_id=self.inputs.run_id, spec_name=self.inputs.spec_name, folder=self.folder,
        )  # fmt: skip


def prepare_job(config: pytest.Config, job: Job) -> PreparedJob:
    """Check everything that could refuse the run of a job, and find its base.

    Raises:
        GumpError: something refuses it. Nothing was written but git objects and, with --gump-dirty=include, the ref
            that keeps the uncommitted changes.
    """
    repository, previous = check(config, job), job.previous
    if previous is None:
        run_id, folder = fresh_run_id(job), start_folder(repository.root, config.invocation_params.dir)
        return PreparedJob.of(job, repository, find_base(config, repository, run_id), run_id=run_id, folder=folder)
    run_id = previous.run.id if previous.step is None else fresh_run_id(job)
    return resumed_job(job, previous, repository, run_id=run_id)


def resumed_job(job: Job, previous: PreviousRun, repository: Repository, *, run_id: str) -> PreparedJob:
    """A job on the base of its previous run.

    Raises:
        RunError: that base is gone.
    """
    run = previous.run
    folder, base = run.header.get("folder"), base_of(repository, run.id, run.header)
    return PreparedJob.of(job, repository, base, run_id=run_id, folder=folder if isinstance(folder, str) else "")


def fresh_run_id(job: Job) -> str:
    return new_run_id(job.workflow.name, now=datetime.now(UTC), chance=secrets.token_hex(2))


def dry_run(config: pytest.Config, job: Job, columns: int) -> list[str]:
    """What the job would do. Starts nothing, writes nothing, and needs neither agents nor a clean checkout."""
    root, commands = job.project, job.settings.commands
    if (root / ".git").exists():
        repository = Repository.open(root)
        ref = config.getoption("gump_base")
        commit = repository.resolve(ref) if ref else repository.head()
        commands = gate_commands(repository, commit, job.settings, start_folder(root, config.invocation_params.dir))
    loaded = job.loaded
    return describe(
        job.workflow,
        source=loaded.source,
        spec_name=os.path.relpath(job.spec, root),
        commands=commands,
        lines=loaded.lines,
        columns=columns,
    )
