"""Which words of the command line are ours, and which name ordinary tests."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_gump.jobs.files import is_spec
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator


def ordinary_arguments(config: pytest.Config) -> list[str]:
    """What names ordinary tests. A word that names nothing is ours: we say so, once, before workers are asked."""
    return [word for word, is_ours in _arguments(config) if not is_ours]


def own_arguments(config: pytest.Config) -> list[str]:
    return [word for word, is_ours in _arguments(config) if is_ours]


def names_nothing(config: pytest.Config) -> bool:
    """Whether there is a word that names neither a file nor a folder, so that pytest cannot collect it."""
    folder = config.invocation_params.dir
    return not all(Path(folder, word.partition("::")[0]).exists() for word in own_arguments(config))


@contextmanager
def portable_arguments(config: pytest.Config) -> Iterator[None]:
    """Keep our own arguments from xdist while it starts workers elsewhere: it wants files that it can send there."""
    given = config.invocation_params
    if not any(map(_is_elsewhere, getattr(config.option, "tx", ()))):
        yield
        return
    ours = {*own_arguments(config)}
    kept = tuple(word for word in given.args if str(word) not in ours)
    config.invocation_params = dataclasses.replace(given, args=kept)
    try:
        yield
    finally:
        config.invocation_params = given


def _is_elsewhere(spec: str) -> bool:
    return "chdir=" in spec or not spec.rpartition("*")[2].startswith("popen")


def _arguments(config: pytest.Config) -> Iterator[tuple[str, bool]]:
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return
    for word in map(str, config.args):
        path = Path(config.invocation_params.dir, word.partition("::")[0])
        if path.is_file():
            is_workflow = path.suffix in WORKFLOW_SUFFIXES and bool(config.getoption("gump_spec"))
            yield word, is_workflow or (is_spec(path) and bool(config.getoption("gump_workflow")))
        else:
            yield word, not path.exists() and not config.option.pyargs
