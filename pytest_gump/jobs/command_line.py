"""Options of the command line itself, without `addopts`, the ini file and the environment.

Only that may start an agent or leave out a step: what a project sets for its ordinary tests does neither. A file of
arguments (`pytest @run.args`) belongs to it: the command line names the file.
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
"""What `gump run` adds to the arguments of pytest: the command is itself a module of the plugin, and under
`filterwarnings = error` pytest would stop at that."""
STARTS = frozenset({"--gump-workflow", "--gump-resume", "--gump-from"})
SHOWS = ("help", "version", "collectonly", "showfixtures", "show_fixtures_per_test", "markers", "cacheshow")
"""Options of pytest that print something and run no test."""


def command_line(config: pytest.Config) -> list[str]:
    """Options and arguments as given; an `@file` is replaced by the lines of the file."""
    return [*_expanded(map(str, config.invocation_params.args), config.invocation_params.dir)]


def _expanded(given: Iterable[str], folder: Path) -> Iterator[str]:
    for argument in given:
        if argument.startswith("@"):
            yield from _expanded(os.fsdecode(Path(folder, argument[1:]).read_bytes()).splitlines(), folder)
        else:
            yield argument


def path_of(argument: str, folder: Path) -> Path:
    """The path in an argument, which may be a node id."""
    return absolute(argument.partition("::")[0], folder)


def absolute(name: str, folder: Path) -> Path:
    return Path(os.path.abspath(folder / name))  # noqa: PTH100 - symlinks stay as named


def names_workflow(config: pytest.Config) -> bool:
    """True if the command line itself names a workflow; always False on a worker, which gets orders."""
    if hasattr(config, "workerinput"):
        return False
    has_spec = bool(config.getoption("gump_spec", default=None))
    return any(
        argument.partition("=")[0] in STARTS
        or (has_spec and not argument.startswith("-") and argument.partition("::")[0].endswith((".yaml", ".yml")))
        for argument in command_line(config)
    )


def own_options(config: pytest.Config) -> argparse.Namespace:
    """The options as the command line itself sets them; all others have their defaults."""
    parser: Any = config._parser  # noqa: SLF001 - no public way; tests/jobs/test_command_line.py
    namespace: argparse.Namespace = parser.parse_known_args(command_line(config))
    return namespace


def only_shows(config: pytest.Config) -> bool:
    """True if the session runs nothing: pytest only lists something, or it is a dry run."""
    return bool(config.getoption("gump_dry_run")) or any(config.getoption(name, default=False) for name in SHOWS)


def example(config: pytest.Config, *, workflow: str | None = None, spec: str = "spec.md") -> str:
    """An example command that starts a run, in the user's own form and with the user's names."""
    named = workflow or next(iter(config.getoption("gump_workflow", default=None) or ()), "tdd")
    if QUIET in command_line(config):
        return f"gump run {shlex.quote(spec)} --workflow {shlex.quote(str(named))}"
    return f"pytest --gump-workflow={shlex.quote(str(named))} {shlex.quote(spec)}"
