"""From words on a command line to a command, and from errors to text and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pytest_gump.cli import run
from pytest_gump.cli.command import SUMMARIES
from pytest_gump.cli.former_words import refuse_former
from pytest_gump.cli.output import Out
from pytest_gump.errors import ConfigError, GumpError
from pytest_gump.system.garbage import freeze_once, no_garbage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

REFUSED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

DESCRIPTION: Final = """\
Run workflows for AI coding agents and see what came of it.

`gump run` is pytest; the other commands read the ledgers in .gump/runs. RUN is the id of a run, or
the beginning or the end of one; without it, the newest run is meant."""

EPILOG: Final = """\
examples:
  gump run spec.md --workflow tdd       run a workflow (the same as pytest --gump-workflow=tdd spec.md)
  gump status                           all runs, and how far they are
  gump report                           what the newest run cost, attempt by attempt
  gump apply                            merge the newest run that passed

exit codes: those of pytest for `run`; else 0, 1 (refused, conflict, something failed), 2 (wrong usage, no such run)
or 130 (Ctrl-C)"""


def make_parser(names: Collection[str] = SUMMARIES) -> argparse.ArgumentParser:
    """The parser. Only the modules of `names` are imported; the other commands have just their line in the help."""
    from pytest_gump import __version__

    parser = argparse.ArgumentParser(
        prog="gump", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"pytest-gump {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, summary in SUMMARIES.items():
        if name in names:
            import_module(f"pytest_gump.cli.{name}").add(commands)
        else:
            commands.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `argv` is without the program's name."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `gump report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except GumpError as error:
        Out(sys.stderr).text(f"gump: error: {error}")
        usage = run.PYTEST_USAGE if arguments[:1] == ["run"] else USAGE
        return usage if isinstance(error, ConfigError) else REFUSED
    return code


def _run(arguments: list[str]) -> int:
    refuse_former(arguments)
    if arguments[:1] == ["run"] and not {"-h", "--help"} & set(arguments):
        return run.start(arguments[1:])
    if not arguments:
        make_parser().print_help()
        return 0
    try:
        with no_garbage():
            parser = make_parser(arguments[:1])
            freeze_once()
        parsed, rest = parser.parse_known_args(arguments)
        if rest:
            parsed.parser.error(f"unrecognized arguments: {' '.join(rest)}")
    except SystemExit as leave:  # after --help, --version or a message of argparse
        return leave.code if isinstance(leave.code, int) else USAGE
    code: int = parsed.execute(parsed, Out(sys.stdout))
    return code
