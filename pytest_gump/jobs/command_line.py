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
    from collections.abc import Iterator

    import pytest

QUIET = "-Wignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
"""What `gump run` adds to the arguments of pytest: the command is itself a module of the plugin, and under
`filterwarnings = error` pytest would stop at that."""
STARTS = frozenset({"--gump-workflow", "--gump-resume", "--gump-from"})
SHOWS = ("help", "version", "collectonly", "showfixtures", "show_fixtures_per_test", "markers", "cacheshow")
"""Options of pytest that print something and run no test."""


def words(config: pytest.Config) -> list[str]:
    """The arguments; an `@file` is replaced by the arguments in the file."""
    return [*_expanded(map(str, config.invocation_params.args), config.invocation_params.dir)]


def _expanded(given: Any, folder: Path) -> Iterator[str]:
    for word in given:
        if word.startswith("@"):
            yield from _expanded(os.fsdecode(Path(folder, word[1:]).read_bytes()).splitlines(), folder)
        else:
            yield word


def names_workflow(config: pytest.Config) -> bool:
    """True if the command line itself names a workflow; always False on a worker, which gets orders."""
    if hasattr(config, "workerinput"):
        return False
    return any(
        word.partition("=")[0] in STARTS or (not word.startswith("-") and _is_workflow_file(word, config))
        for word in words(config)
    )


def _is_workflow_file(word: str, config: pytest.Config) -> bool:
    """A YAML file among the arguments, if a spec is given too."""
    path = word.partition("::")[0]
    return path.endswith((".yaml", ".yml")) and bool(config.getoption("gump_spec", default=None))


def said(config: pytest.Config) -> argparse.Namespace:
    """The options as the command line itself sets them; all others have their defaults."""
    parser: Any = config._parser  # noqa: SLF001 - no public way; tests/jobs/test_command_line.py
    namespace: argparse.Namespace = parser.parse_known_args(words(config))
    return namespace


def only_shows(config: pytest.Config) -> bool:
    """True if the session runs nothing: pytest only lists something, or it is a dry run."""
    return bool(config.getoption("gump_dry_run")) or any(config.getoption(name, default=False) for name in SHOWS)


def example(config: pytest.Config, *, workflow: str | None = None, spec: str = "spec.md") -> str:
    """An example command that starts a run, in the user's own form and with the user's names."""
    named = workflow or next(iter(config.getoption("gump_workflow", default=None) or ()), "tdd")
    if QUIET in words(config):
        return f"gump run {shlex.quote(spec)} --workflow {shlex.quote(str(named))}"
    return f"pytest --gump-workflow={shlex.quote(str(named))} {shlex.quote(spec)}"
