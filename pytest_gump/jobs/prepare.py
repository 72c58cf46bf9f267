"""Prepare a job for its run: repository, base and gate commands."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.engine.record.run_id import new_run_id
from pytest_gump.engine.run.order_builder import RunInputs
from pytest_gump.errors import RunError, WorktreeError
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.jobs.check import check
from pytest_gump.jobs.record_option import record_into

if TYPE_CHECKING:
    import pytest

    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.engine.resume.replay import Replay
    from pytest_gump.jobs.job import Job
    from pytest_gump.jobs.previous_run import PreviousRun
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.checkout_status import CheckoutStatus
    from pytest_gump.system.git.repository import Repository


class Base(NamedTuple):
    """Base of a run: a named commit, HEAD, or HEAD with the uncommitted changes of the checkout."""

    commit: str
    ref: str
    dirty_base: str | None = None
    """HEAD, if `commit` contains the uncommitted changes on top of it; otherwise None."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedJob:
    """A checked job with the inputs of its run."""

    job: Job
    repository: Repository
    base: Base
    folder: str
    """Folder in which the run's first session started, relative to the project. Gates run in the package around it."""
    inputs: RunInputs
    status: CheckoutStatus | None = None
    """Status of the checkout before the run; None if it may be out of date."""
    replay: Replay | None = None
    """Replay of the ledger of the run to resume."""

    @classmethod
    def of(cls, job: Job, repository: Repository, base: Base, *, run_id: str, folder: str) -> PreparedJob:
        spec_name = os.path.relpath(job.spec, repository.root)
        inputs = RunInputs(
            run_id=run_id,
            workflow=job.workflow,
            workflow_texts=job.loaded.copies(),
            spec_name=job.spec.name if spec_name.startswith("..") else spec_name,
            spec_bytes=job.spec_bytes,
            base=base.commit,
            commands=tuple(sorted(gate_commands(repository, base.commit, job.settings, folder).items())),
            settings=job.settings,
            cli_of=job.cli_of,
            shell_of=job.shell_of,
            inputs=job.inputs,
            describe_agent=job.describe_agent,
            models_of=job.models_of,
            value_prefix=job.value_prefix,
        )
        return cls(job, repository, base, folder, inputs)

    @property
    def settings(self) -> Settings:
        """Settings of the run, with its cassette if it is recorded."""
        return self.inputs.settings

    def recorded(self, config: pytest.Config) -> PreparedJob:
        """Return a copy with a new cassette if the run is recorded.

        Raises:
            ConfigError: The cassette cannot be created.
        """
        settings = record_into(config, self.settings, self.repository.root, self.inputs.run_id)
        return replace(self, inputs=replace(self.inputs, settings=settings))


def prepare_job(config: pytest.Config, job: Job) -> PreparedJob:
    """Check that a job can run, and find its base.

    Raises:
        GumpError: The job cannot run. Only git objects were written and, with --gump-dirty=include, the ref that
            keeps the uncommitted changes.
    """
    (repository, status), previous = check(config, job), job.previous
    if previous is None:
        run_id, folder = _fresh_run_id(job), start_folder(repository.root, config.invocation_params.dir)
        base = _find_base(config, repository, status, run_id)
        prepared = PreparedJob.of(job, repository, base, run_id=run_id, folder=folder)
    else:
        run_id = previous.run.id if previous.step is None else _fresh_run_id(job)
        prepared = resumed_job(job, previous, repository, run_id=run_id)
    return replace(prepared, status=status)


def resumed_job(job: Job, previous: PreviousRun, repository: Repository, *, run_id: str) -> PreparedJob:
    """Return the prepared job on the base of its previous run.

    Raises:
        RunError: The base no longer exists.
    """
    run = previous.run
    folder, base = run.header.get("folder"), _base_of(run, repository)
    return PreparedJob.of(job, repository, base, run_id=run_id, folder=folder if isinstance(folder, str) else "")


def _find_base(config: pytest.Config, repository: Repository, status: CheckoutStatus, run_id: str) -> Base:
    ref = config.getoption("gump_base")
    if ref is not None:
        return Base(repository.resolve(ref), ref)
    if config.getoption("gump_dirty") == "include" and status.modified:
        return Base(repository.capture_dirty(run_id), "HEAD", dirty_base=status.head)
    return Base(status.head, "HEAD")


def _base_of(run: StoredRun, repository: Repository) -> Base:
    """Return the base of a run from its header.

    Raises:
        RunError: The commit no longer exists.
    """
    header = run.header
    base = str(header.get("base"))
    try:
        repository.tree_of(base)
    except WorktreeError as error:
        message = f"run {run.id} cannot be resumed or reused: its base {base[:10]} is missing from the repository"
        raise RunError(message, hint="start a new run") from error
    return Base(base, str(header.get("base_ref", "")), header.get("dirty_base"))


def _fresh_run_id(job: Job) -> str:
    return new_run_id(job.workflow.name, now=datetime.now(UTC), chance=secrets.token_hex(2))
