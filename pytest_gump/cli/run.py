"""`gump run`: call pytest with shorter option names."""

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
    ("--workflow", "NAME", "workflow to run: a name (gump playbook list) or a YAML file"),
    ("--spec", "FILE", "spec, if the argument is a workflow file"),
    ("--agent", "[OLD=]NEW", "use agent NEW in every step, or in place of agent OLD"),
    ("--max-budget", "USD", "end the run when its attempts have cost this much"),
    ("--on-quota", "wait|stop|AGENT", "what to do at the usage limit of an agent's account (default: stop)"),
    ("--base", "REF", "start the run from this commit (default: HEAD)"),
    ("--dirty", "refuse|include", "what to do with uncommitted changes of tracked files (default: refuse)"),
    ("--input", "KEY=VALUE", "set an input that the workflow declares"),
    ("--pause-after", "STEP", "a person must approve the work of STEP before its gates run"),
    ("--resume", "[RUN]", "resume a run that failed or was interrupted (default: the newest run)"),
    ("--from", "STEP[@RUN]", "start a new run that reuses the results before STEP of an earlier run"),
    ("--ci", "auto|github|gitlab|off", "report to this CI service (default: auto, the service that runs the command)"),
    ("--record", "DIR", "record the agents as a cassette in DIR (new or empty), for --replay"),
    ("--replay", "DIR", "replay the cassette in DIR instead of starting agents"),
    ("--replay-delay", "FACTOR", "multiply the recorded pauses by FACTOR (default: 0, no pauses)"),
)
FLAGS: Final = (
    ("--dry-run", "show what the workflow would do, without running anything"),
    ("--no-preflight", "do not run the gate commands on the unchanged base first"),
    ("--replay-lenient", "replay a recorded attempt even if its prompt has changed"),
)
SYNONYMS: Final = {"--set": "--input"}
"""Options of Gump 0.0.4, each with the one that means the same."""
OURS: Final = {name for name, *_ in VALUES} | {name for name, _ in FLAGS}


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "run",
        description="Run a workflow on a spec. This starts pytest with the options below. All other options are passed "
        "to pytest, and the exit code is pytest's.",
        examples="  gump run spec.md --workflow tdd\n"
        "  gump run spec.md --workflow tdd --dry-run\n"
        "  gump run --resume                 resume the newest run\n"
        "  gump run spec.md --workflow tdd --agent claude-haiku=claude-sonnet --max-budget 3 -v --junitxml=run.xml",
        execute=_execute,
        usage="gump run SPEC --workflow NAME [options] [pytest options]",
    )
    parser.add_argument("specs", nargs="*", metavar="SPEC", help="Markdown file that describes what to build")
    for name, metavar, text in VALUES:
        parser.add_argument(name, metavar=metavar, help=text)
    for name, same in SYNONYMS.items():
        parser.add_argument(name, metavar="KEY=VALUE", help=f"the same as {same}")
    for name, text in FLAGS:
        parser.add_argument(name, action="store_true", help=text)


def _execute(_arguments: argparse.Namespace, _out: Out) -> int:
    raise AssertionError("pytest parses the arguments of `gump run`")


def start(arguments: Sequence[str]) -> int:
    """Start pytest with the arguments. Return its exit code."""
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
    """Translate `--workflow tdd` to `--gump-workflow tdd`. Everything else and everything after `--` is unchanged."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*map(_translate, arguments[:end]), *arguments[end:]]


def _translate(word: str) -> str:
    name, equals, value = word.partition("=")
    name = SYNONYMS.get(name, name)
    return f"--gump-{name[2:]}{equals}{value}" if name in OURS else word
