"""Starts the run of a job: a new one, or one that continues a previous run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.jobs.header import run_header, stored_options
from pytest_gump.jobs.prepare import prepare_job
from pytest_gump.session.start import begin_run, create_run

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pytest

    from pytest_gump.engine.run.run import Run
    from pytest_gump.jobs.job import Job
    from pytest_gump.jobs.prepare import PreparedJob
    from pytest_gump.session.start import RunContext


def prepare(config: pytest.Config, job: Job) -> PreparedJob:
    """Check everything that can prevent a run, and create its cassette.

    Raises:
        GumpError: The run cannot start.
    """
    prepared, previous = prepare_job(config, job), job.previous
    if previous is not None and previous.step is None:
        from pytest_gump.session.resume import replay_previous

        prepared = replace(prepared, replay=replay_previous(prepared, previous))
    return prepared.recorded(config)


def open_run(config: pytest.Config, context: RunContext, owned: ExitStack) -> Run:
    """Open the run of a job. Its folder is locked until `owned` is closed.

    Raises:
        GumpError: A file cannot be written, or another session has resumed the run.
    """
    prepared = context.prepared
    previous = prepared.job.previous
    if previous is None:
        return create_run(context, owned, partial(begin_run, context, header=run_header(config, prepared)))
    from pytest_gump.session.resume import resume, start_from  # imports the modules that replay a run

    if previous.step is None:
        return resume(context, previous, owned, stored_options(config, prepared))
    begin = partial(start_from, context, previous, previous.step, header=run_header(config, prepared))
    return create_run(context, owned, begin)
