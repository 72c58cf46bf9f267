"""Classify the files and folders among the arguments: specs and workflows of runs, or ordinary tests."""

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
"""`missing`: there is no such file or folder, which is reported later."""


class Argument(NamedTuple):
    text: str
    path: Path
    kind: ArgumentKind


def arguments(config: pytest.Config) -> list[Argument]:
    """Return the arguments of the command line; none if pytest uses others, for example from `testpaths`."""
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
    """Return the arguments of ordinary tests."""
    return [argument.text for argument in arguments(config) if argument.kind == "tests"]


def own_arguments(config: pytest.Config) -> list[str]:
    """Return the arguments of runs."""
    return [argument.text for argument in arguments(config) if argument.kind != "tests"]


def no_spec(config: pytest.Config) -> ConfigError:
    """Return the error for a command line without a spec. It names an argument that does not exist, if there is one."""
    for argument in arguments(config):
        if not argument.path.exists():
            hint = "the part after :: selects a step" if "::" in argument.text else None
            return ConfigError(f"the spec {argument.text} does not exist", hint=hint)
    return ConfigError(
        "--gump-workflow names a workflow, but no spec is among the arguments",
        hint=f"add a spec: {example(config)}",
    )


def names_nothing(config: pytest.Config) -> bool:
    """True if an argument does not exist, so that pytest cannot collect it."""
    return any(argument.kind == "missing" for argument in arguments(config))


@contextmanager
def portable_arguments(config: pytest.Config) -> Iterator[None]:
    """Hide the arguments of runs from xdist while it starts remote workers, because it would send these files."""
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
