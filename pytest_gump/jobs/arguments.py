"""The files and folders among the arguments: specs and workflows belong to runs, the rest to ordinary tests."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

import pytest

from pytest_gump.errors import ConfigError
from pytest_gump.jobs.command_line import example, path_of
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ArgumentKind = Literal["spec", "workflow", "missing", "tests"]
"""`missing` names nothing that exists; the run reports it."""


class Argument(NamedTuple):
    text: str
    path: Path
    kind: ArgumentKind


def arguments(config: pytest.Config) -> list[Argument]:
    """The arguments of the command line; none if pytest took others, as from `testpaths`."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return []
    folder = config.invocation_params.dir
    paths = [(text, path_of(text, folder)) for text in map(str, config.args)]
    return [Argument(text, path, _kind(path, config)) for text, path in paths]


def _kind(path: Path, config: pytest.Config) -> ArgumentKind:
    if not path.is_file():
        return "tests" if path.exists() or config.option.pyargs else "missing"
    if path.suffix in WORKFLOW_SUFFIXES:
        return "workflow" if config.getoption("gump_spec") else "tests"
    return "spec" if path.suffix != ".py" and config.getoption("gump_workflow") else "tests"


def ordinary_arguments(config: pytest.Config) -> list[str]:
    """The arguments that name ordinary tests."""
    return [argument.text for argument in arguments(config) if argument.kind == "tests"]


def own_arguments(config: pytest.Config) -> list[str]:
    """The arguments that belong to runs."""
    return [argument.text for argument in arguments(config) if argument.kind != "tests"]


def no_spec(config: pytest.Config) -> ConfigError:
    """What to say if no argument is a spec: most often its name is mistyped."""
    for argument in arguments(config):
        if not argument.path.exists():
            hint = "what follows :: selects a step" if "::" in argument.text else None
            return ConfigError(f"the spec {argument.text} does not exist", hint=hint)
    return ConfigError(
        "--gump-workflow names a workflow, but no spec is among the arguments",
        hint=example(config),
    )


def names_nothing(config: pytest.Config) -> bool:
    """True if an argument names neither a file nor a folder, so that pytest cannot collect it."""
    return any(argument.kind == "missing" for argument in arguments(config))


@contextmanager
def portable_arguments(config: pytest.Config) -> Iterator[None]:
    """Hide our own arguments from xdist while it starts workers elsewhere: it wants files that it can send there."""
    given = config.invocation_params
    if not any(map(_is_elsewhere, getattr(config.option, "tx", ()))):
        yield
        return
    ours = {*own_arguments(config)}
    kept = tuple(text for text in given.args if str(text) not in ours)
    config.invocation_params = dataclasses.replace(given, args=kept)
    try:
        yield
    finally:
        config.invocation_params = given


def _is_elsewhere(spec: str) -> bool:
    return "chdir=" in spec or not spec.rpartition("*")[2].startswith("popen")
