"""The header of a run, `run.json`: facts about its start, and the options that a resume needs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import pytest_gump
from pytest_gump.workflow.edit import leaves, packages_of

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.jobs.prepare import PreparedJob


def run_header(config: pytest.Config, prepared: PreparedJob) -> dict[str, Any]:
    job, inputs, repository, base = prepared.job, prepared.inputs, prepared.repository, prepared.base
    return {
        "run_id": inputs.run_id,
        "workflow": job.workflow.name,
        "source": job.loaded.source,
        "workflow_name": job.loaded.name,
        "packages": [
            {"name": package.name, "version": package.version, "digest": package.digest}
            for package in packages_of(job.workflow)
        ],
        "workflow_path": str(job.loaded.path) if job.loaded.path else None,
        "spec": inputs.spec_name,
        "spec_path": str(job.spec),
        "base": base.commit,
        "base_ref": base.ref,
        "dirty_base": base.dirty_base,
        "branch_at_start": prepared.status.branch if prepared.status else repository.branch(),
        "project": str(repository.root),
        "folder": prepared.folder,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": [str(word) for word in config.invocation_params.args],
        "versions": {
            "pytest_gump": pytest_gump.__version__,
            "pytest": pytest.__version__,
            "python": sys.version.split()[0],
        },
        "inputs": dict(job.inputs),
        "options": stored_options(config, prepared),
        "replay": job.replay is not None,
    }


def stored_options(config: pytest.Config, prepared: PreparedJob) -> dict[str, Any]:
    """Return the command-line options that a resume needs."""
    option, job, root = config.option, prepared.job, prepared.repository.root
    workflow = job.loaded.path
    replay, selected = job.replay, [path for path, _ in leaves(job.workflow.steps)]
    return {
        "file": "spec" if job.file == job.spec else "workflow",
        "spec": _inside(root, job.spec),
        "workflow": None if workflow is None else _inside(root, workflow),
        "agents": [*option.gump_agent],
        "inputs": [*option.gump_input],
        "pause_after": [*option.gump_pause_after],
        "max_budget": option.gump_max_budget,
        "on_quota": option.gump_on_quota,
        "selected": None if selected == [path for path, _ in leaves(job.loaded.workflow.steps)] else selected,
        "replay": None if replay is None else [str(replay.cassette.path), replay.lenient, option.gump_replay_delay],
    }


def _inside(root: Path, path: Path) -> str | None:
    return str(path.relative_to(root)) if path.is_relative_to(root) else None
