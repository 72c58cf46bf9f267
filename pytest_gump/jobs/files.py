"""Files of the command line: project, specs and workflows."""

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
    """Return the checkout in which the session was started, or pytest's rootdir outside any checkout."""
    return checkout_around(config.invocation_params.dir) or config.rootpath


@dataclass(slots=True, eq=False)
class JobSource:
    """Files of one job."""

    file: Path
    """The file at the start of the node id: the spec or the workflow file."""
    spec: Path
    workflow: Found | ParsedWorkflow


def job_sources(config: pytest.Config) -> list[JobSource]:
    """Return the sources of all jobs in command-line order. Each workflow file is read once per session.

    Raises:
        ConfigError: A workflow is missing or cannot be read.
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
        raise ConfigError(f"the spec {path} is empty", hint="describe what to build")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # `>` in Windows PowerShell writes it
        raise ConfigError(f"the spec {path} is UTF-16 text, which agents cannot read", hint="save it as UTF-8")
    return data


def refuse_odd_name(file: Path, rootpath: Path) -> None:
    """Refuse a file name that is not valid text, because pytest fails on such a node id at the end of the session."""
    name = os.path.relpath(file, rootpath)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the file name {name!a} is not valid text in this locale",
            hint="rename the file, or use a UTF-8 locale: LC_ALL=C.UTF-8",
        ) from None
