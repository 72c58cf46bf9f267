"""Which words of the command line are ours, and which name ordinary tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_gump.jobs import is_spec
from pytest_gump.workflow.find import WORKFLOW_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator


def ordinary_arguments(config: pytest.Config) -> list[str]:
    """What names ordinary tests. A word that names nothing is ours: we say so, once, before workers are asked."""
    return [word for word, is_ours in _arguments(config) if not is_ours]


def own_arguments(config: pytest.Config) -> list[str]:
    return [word for word, is_ours in _arguments(config) if is_ours]


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
