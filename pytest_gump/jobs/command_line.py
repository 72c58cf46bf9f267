"""Options on the command line itself, without `addopts`, the ini file and the environment.

Only these may start an agent or deselect a step. Options that a project sets for its ordinary tests do neither. An
argument file (`pytest @run.args`) is part of the command line.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    import pytest

QUIET = "-Wignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
"""Option that `gump run` passes to pytest, because the command has already imported modules of the plugin. Without it,
pytest would warn, and stop with `filterwarnings = error`."""
STARTS = frozenset({"--gump-workflow", "--gump-resume", "--gump-from"})
SHOWS = ("help", "version", "collectonly", "showfixtures", "show_fixtures_per_test", "markers", "cacheshow")
"""Options of pytest that print information and run no tests."""


def command_line(config: pytest.Config) -> list[str]:
    """Return options and arguments as given. An `@file` is replaced by its lines."""
    return [*_expanded(map(str, config.invocation_params.args), config.invocation_params.dir)]


def _expanded(given: Iterable[str], folder: Path) -> Iterator[str]:
    for argument in given:
        if argument.startswith("@"):
            yield from _expanded(os.fsdecode(Path(folder, argument[1:]).read_bytes()).splitlines(), folder)
        else:
            yield argument


def path_of(argument: str, folder: Path) -> Path:
    """Return the path of an argument, which can be a node id."""
    return absolute(argument.partition("::")[0], folder)


def absolute(name: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / name))  # noqa: PTH100 - keeps symlinks


def names_workflow(config: pytest.Config) -> bool:
    """True if the command line itself names a workflow. Always False on a worker, which executes orders."""
    if hasattr(config, "workerinput"):
        return False
    has_spec = bool(config.getoption("gump_spec", default=None))
    return any(
        argument.partition("=")[0] in STARTS
        or (has_spec and not argument.startswith("-") and argument.partition("::")[0].endswith((".yaml", ".yml")))
        for argument in command_line(config)
    )


def own_options(config: pytest.Config) -> argparse.Namespace:
    """Return the options of the command line itself. All others have their defaults."""
    parser: Any = config._parser  # noqa: SLF001 - no public API; tests/jobs/test_command_line.py
    namespace: argparse.Namespace = parser.parse_known_args(command_line(config))
    return namespace


def only_shows(config: pytest.Config) -> bool:
    """True if the session runs nothing, because pytest only lists something or it is a dry run."""
    return bool(config.getoption("gump_dry_run")) or any(config.getoption(name, default=False) for name in SHOWS)


def example(config: pytest.Config, *, workflow: str | None = None, spec: str = "spec.md") -> str:
    """Return an example command that starts a run: `gump run` or `pytest` like the user's, with the user's workflow."""
    named = workflow or next(iter(config.getoption("gump_workflow", default=None) or ()), "tdd")
    if QUIET in command_line(config):
        return f"gump run {shlex.quote(spec)} --workflow {shlex.quote(str(named))}"
    return f"pytest --gump-workflow={shlex.quote(str(named))} {shlex.quote(spec)}"
