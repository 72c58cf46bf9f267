"""The files that the command line names: the project, the specs, and the workflows that are run on them."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.errors import ConfigError
from pytest_gump.jobs.arguments import arguments
from pytest_gump.jobs.command_line import absolute
from pytest_gump.system.environment import checkout_around, home
from pytest_gump.system.files import read_user_file
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES, find_workflow, workflow_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.workflow.find import Found
    from pytest_gump.workflow.load import ParsedWorkflow

_SOURCES: Final = pytest.StashKey[list["JobSource"]]()
MAX_SPEC_BYTES = 16 * 1024 * 1024


def project_root(config: pytest.Config) -> Path:
    """The checkout that the session was started in; outside of any, pytest's rootdir."""
    return checkout_around(config.invocation_params.dir) or config.rootpath


@dataclass(slots=True, eq=False)
class JobSource:
    """What the command line names for one job."""

    file: Path
    """The file that the node id begins with: the spec, or the workflow file."""
    spec: Path
    workflow: Found | ParsedWorkflow


def job_sources(config: pytest.Config) -> list[JobSource]:
    """The sources of all jobs, in the order of the command line; each workflow file is read once in a session.

    Raises:
        ConfigError: a workflow is missing or cannot be read.
    """
    if _SOURCES not in config.stash:
        project = project_root(config)
        config.stash[_SOURCES] = [JobSource(*named) for named in _job_files(config, project)]
    return config.stash[_SOURCES]


def _job_files(config: pytest.Config, project: Path) -> Iterator[tuple[Path, Path, Found]]:
    names, folder = [str(name) for name in config.getoption("gump_workflow") or ()], config.invocation_params.dir
    find = cache(partial(_find, folder=folder, project=project))
    option = config.getoption("gump_spec")
    spec = absolute(option, folder) if option else None
    kinds = {argument.path: argument.kind for argument in arguments(config)}
    for path, kind in kinds.items():
        if kind == "workflow" and spec is not None:
            yield path, spec, workflow_file(path)
        elif kind == "spec":
            yield from ((path, path, find(name)) for name in names)
    if spec is not None and "workflow" not in kinds.values():
        yield from ((spec, spec, find(name)) for name in names)


def _find(name: str, folder: Path, project: Path) -> Found:
    if name.endswith(WORKFLOW_SUFFIXES):
        from_here = folder / name
        return find_workflow(str(from_here if from_here.exists() else name), project, home())
    return find_workflow(name, project, home())


def read_spec(path: Path) -> bytes:
    data = read_user_file(path, MAX_SPEC_BYTES, f"the spec {path}")
    if not data.strip():
        raise ConfigError(f"the spec {path} is empty", hint="write what is to be built")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # what `>` of Windows PowerShell writes
        raise ConfigError(f"the spec {path} is UTF-16 text: agents would not see its letters", hint="save it as UTF-8")
    return data


def refuse_odd_name(file: Path, rootpath: Path) -> None:
    """Refuse what pytest cannot write down as a node id: it would break when the session is over."""
    name = os.path.relpath(file, rootpath)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the name of {name!a} is not text in this locale",
            hint="rename it, or use a locale with UTF-8: LC_ALL=C.UTF-8",
        ) from None
