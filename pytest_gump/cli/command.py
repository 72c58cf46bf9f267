"""How every command describes itself to argparse."""

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
    "status": "list all runs and how far they are",
    "report": "show what a run did and cost, attempt by attempt",
    "log": "show the prompt of a step, what its agent did, and the output of its gates",
    "diff": "show what a run or a step changed",
    "apply": "merge the result of a run into what is checked out",
    "discard": "remove a run's branch and snapshots",
    "gc": "remove worktrees that nobody uses, leftovers, and old runs",
    "playbook": "list the workflows, show one, or print the JSON Schema of workflow files",
    "models": "list the agent names, their models and prices",
    "config": "show the settings in force and where each comes from",
    "doctor": "check what runs need here: git, pytest, disk, worktrees, agent CLIs",
}
"""The commands, and their lines in `gump --help`."""


def add_command(
    commands: Commands, name: str, *, description: str, examples: str, execute: Execute, **options: Any
) -> argparse.ArgumentParser:
    """Add a command; `examples` end its own help."""
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
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help=f"id of a run, or its beginning or end (default: {default})"
    )


def add_json(parser: argparse.ArgumentParser, page: str = "") -> None:
    """Add `--json`; `page` documents its fields."""
    parser.add_argument("--json", action="store_true", help=f"for machines ({page})" if page else "for machines")


def positive(text: str) -> int:
    """A number of things for argparse: one at least."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"not a whole number above zero: {text!r}")
    return number


def age(text: str) -> float:
    """An age for argparse, in seconds."""
    try:
        return parse_age(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; for days and weeks 14d, 2w") from None
