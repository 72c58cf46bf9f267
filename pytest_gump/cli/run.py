"""`gump run`: a thin call of pytest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from pytest_gump.cli.command import add_command
from pytest_gump.cli.output import Out
from pytest_gump.jobs.command_line import QUIET

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_gump.cli.command import Commands

PYTEST_USAGE: Final = 4

VALUES: Final = (
    ("--workflow", "NAME", "workflow to run: a name (see gump playbook list) or a YAML file"),
    ("--spec", "FILE", "the spec, when the argument is a workflow file"),
    ("--agent", "[OLD=]NEW", "use agent NEW in every step, or wherever the workflow says OLD"),
    ("--max-budget", "USD", "end the run when its attempts have cost this much"),
    ("--on-quota", "wait|stop|AGENT", "what to do when the account of an agent is at its limit"),
    ("--base", "REF", "commit that the run starts from (default: HEAD)"),
    ("--dirty", "refuse|include", "what to do with uncommitted changes of tracked files"),
    ("--input", "KEY=VALUE", "value of an input that the workflow declares"),
    ("--resume", "[RUN]", "continue a run that failed, was interrupted or was killed (default: the newest)"),
    ("--from", "STEP[@RUN]", "begin a new run that takes over what an earlier one did before STEP"),
    ("--ci", "auto|github|gitlab|off", "what a CI service gets (default: auto, the one that this runs in)"),
    ("--record", "DIR", "record what the agents do as a cassette in DIR, a new folder, for --replay"),
    ("--replay", "DIR", "play the cassette in DIR instead of starting agents"),
    ("--replay-delay", "FACTOR", "scale the recorded pauses"),
)
FLAGS: Final = (
    ("--dry-run", "print what would be done, step by step, and run nothing"),
    ("--no-preflight", "do not run the gate commands on the untouched base first"),
    ("--replay-lenient", "play a recorded attempt although its prompt has changed since"),
)
OURS: Final = {name for name, *_ in VALUES} | {name for name, _ in FLAGS}


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "run",
        description="Run a workflow on a spec. This is pytest with the options below: every other option goes "
        "to pytest as it is, and the exit code is pytest's.",
        examples="  gump run spec.md --workflow tdd\n"
        "  gump run spec.md --workflow tdd --dry-run\n"
        "  gump run --resume                 continue the newest run\n"
        "  gump run spec.md --workflow tdd --agent claude-haiku=claude-sonnet --max-budget 3 -v --junitxml=run.xml",
        execute=_execute,
        usage="gump run SPEC --workflow NAME [options] [pytest options]",
    )
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="Markdown file that says what to build")
    for name, metavar, text in VALUES:
        parser.add_argument(name, metavar=metavar, help=text)
    for name, text in FLAGS:
        parser.add_argument(name, action="store_true", help=text)


def _execute(_arguments: argparse.Namespace, _out: Out) -> int:
    raise AssertionError("the words of `gump run` are pytest's to read")


def start(arguments: Sequence[str]) -> int:
    """Hand the words to pytest, ours under the names that its options have."""
    passed = to_pytest(arguments)
    names = {word.partition("=")[0] for word in passed}
    has_file = any(word.startswith("@") for word in arguments)
    if not has_file and not names & {"--gump-workflow", "--gump-spec", "--gump-resume", "--gump-from"}:
        Out(sys.stderr).text(
            "gump: error: gump run needs --workflow NAME\n  hint: gump playbook list shows the workflows"
        )
        return PYTEST_USAGE
    import pytest

    return int(pytest.main([QUIET, *passed]))


def to_pytest(arguments: Sequence[str]) -> list[str]:
    """Write `--workflow tdd` as `--gump-workflow tdd`; nothing else is changed, and nothing after `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*map(_translate, arguments[:end]), *arguments[end:]]


def _translate(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"--gump-{name[2:]}{equals}{value}" if name in OURS else word
