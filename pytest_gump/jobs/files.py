"""The files that the command line names: the project, the specs, and the workflows that are run on them."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.errors import ConfigError
from pytest_gump.jobs.command_line import example
from pytest_gump.system.environment import checkout_around, home
from pytest_gump.system.files import read_user_file
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES, find_workflow, workflow_file

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    named = [str(name) for name in config.getoption("gump_workflow") or ()]
    given = config.getoption("gump_spec")
    spec_option = _absolute(given, config) if given else None
    find, used = cache(partial(_find, config=config, project=project)), False
    for path in _argument_files(config):
        if path.suffix in WORKFLOW_SUFFIXES and spec_option is not None:
            used = True
            yield path, spec_option, workflow_file(path)
        elif is_spec(path) and named:
            for name in named:
                yield path, path, find(name)
    if spec_option is not None and named and not used:
        for name in named:
            yield spec_option, spec_option, find(name)


def _find(name: str, config: pytest.Config, project: Path) -> Found:
    if name.endswith(WORKFLOW_SUFFIXES):
        from_here = Path(config.invocation_params.dir, name)
        return find_workflow(str(from_here if from_here.exists() else name), project, home())
    return find_workflow(name, project, home())


def is_spec(path: Path) -> bool:
    """Anything that is neither Python nor a workflow may be a spec, if it is named itself."""
    return path.suffix not in {".py", *WORKFLOW_SUFFIXES}


def _argument_files(config: pytest.Config) -> Iterator[Path]:
    """The files among the arguments, each once; a missing spec is an error of ours, with a hint."""
    seen: set[Path] = set()
    for word in config.args if config.args_source is pytest.Config.ArgsSource.ARGS else ():
        text = str(word).partition("::")[0]
        path = _absolute(text, config)
        if path not in seen and path.is_file():
            seen.add(path)
            yield path


def _absolute(name: str, config: pytest.Config) -> Path:
    return Path(os.path.abspath(Path(config.invocation_params.dir, name)))  # noqa: PTH100 - symlinks stay as named


def no_spec(config: pytest.Config) -> ConfigError:
    """What to say when a workflow was named and no argument is a spec: most often its name is mistyped."""
    if config.args_source is pytest.Config.ArgsSource.ARGS:
        for word in map(str, config.args):
            if not Path(config.invocation_params.dir, word.partition("::")[0]).exists():
                hint = "what follows :: selects a step" if "::" in word else None
                return ConfigError(f"the spec {word} does not exist", hint=hint)
    return ConfigError(
        "--gump-workflow names a workflow, but no spec is among the arguments",
        hint=example(config),
    )


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
