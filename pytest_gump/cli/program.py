"""The `gump` program: parses the command line, runs a command, and maps errors to texts and exit codes."""

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
Run workflows for AI coding agents, and inspect, apply and remove their results.

`gump run` starts pytest. The other commands read the runs in .gump/runs. RUN is a run id, or the
start or end of one (default: the newest run)."""

EPILOG: Final = """\
examples:
  gump run spec.md --workflow tdd    run a workflow (same as pytest --gump-workflow=tdd spec.md)
  gump status                        list all runs with their status
  gump report                        show the cost of each attempt of the newest run
  gump apply                         merge the newest run that passed

exit codes:
  gump run has the exit codes of pytest. The other commands exit with 0 (success), 1 (refused,
  conflict or failed check), 2 (invalid arguments or unknown run) or 130 (Ctrl-C)."""


def make_parser(names: Collection[str] = SUMMARIES) -> argparse.ArgumentParser:
    """Return the parser. Only the modules of `names` are imported; other commands get only a line in the help."""
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
    """Run a command and return its exit code. `argv` excludes the program name."""
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
