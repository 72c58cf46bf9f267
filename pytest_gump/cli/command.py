"""Helpers that define the commands and their common arguments with argparse."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.units import parse_age

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.cli.output import Out

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name for it
    Execute = Callable[[argparse.Namespace, Out], int]


SUMMARIES: Final = {
    "run": "run a workflow on a spec",
    "status": "list the runs with status, step and cost",
    "report": "show the cost, tokens and time of each attempt of a run",
    "log": "show the prompt, agent activity and gate output of a step",
    "diff": "show the changes of a run or a step",
    "approve": "approve or reject the work of a step that waits for a person",
    "apply": "merge the result of a run into the current branch",
    "discard": "remove the branch and the snapshots of a run",
    "gc": "remove unused worktrees, leftover files and old runs",
    "playbook": "list workflows, show a workflow, or print the JSON Schema",
    "convert": "print a workflow of Gump 0.0.4 in the current form",
    "models": "list agent names with their models and prices",
    "config": "show all settings and where each value comes from",
    "doctor": "check prerequisites: git, pytest, disk, worktrees, agent CLIs",
}
"""The commands and their descriptions in `gump --help`."""


def add_command(
    commands: Commands, name: str, *, description: str, examples: str, execute: Execute, **options: Any
) -> argparse.ArgumentParser:
    """Add a command. Its help ends with `examples`."""
    parser = commands.add_parser(
        name,
        help=SUMMARIES[name],
        description=textwrap.fill(description, 96),
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,
    )
    parser.set_defaults(execute=execute, parser=parser)
    return parser


def add_run(parser: argparse.ArgumentParser, *, default: str = "the newest run") -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help=f"run id, or its start or end (default: {default})")


def add_json(parser: argparse.ArgumentParser, page: str = "") -> None:
    """Add option `--json`. `page` is the documentation of the fields."""
    parser.add_argument("--json", action="store_true", help=f"print JSON ({page})" if page else "print JSON")


def positive(text: str) -> int:
    """Parse a count of at least 1 for argparse."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"not a whole number above zero: {text!r}")
    return number


def age(text: str) -> float:
    """Parse an age for argparse. Return seconds."""
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}, or 14d or 2w for days and weeks") from None
