"""`--gump-dry-run`: describe a job without running it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.engine.reporting.dry_run import describe
from pytest_gump.gates.tools.project_commands import gate_commands, start_folder
from pytest_gump.system.git.repository import Repository

if TYPE_CHECKING:
    import pytest

    from pytest_gump.jobs.job import Job


def dry_run(config: pytest.Config, job: Job, columns: int) -> list[str]:
    """Return the lines of a description of the job. The agents need not be installed, nor the checkout clean."""
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
        location=loaded.location,
        inputs=job.inputs,
        columns=columns,
    )
