"""What an agent may run in one attempt: one intent, which each adapter translates into the rules of its CLI.

* A step that writes may run the tools of its gates by their usual names with any arguments, the gate commands and the
  commands of `gump_allow_commands` as they are written, commands that only read, and commands for files with paths
  inside the worktree.
* A read-only step (plan, artifact, review) may run nothing: a test run executes a `conftest.py`, which an earlier agent
  may have written.
* In a sandbox, a step that writes may run everything.

The rules of most CLIs match the beginning of a command, so any arguments may follow. This decides what is on the lists:

* A gate tool runs code of the project, so further arguments of it allow nothing new. `make`, `mvn`, `gradle`, `rake`
  and `tox` are not among these tools, because a further argument is a further target (`mvn test deploy`).
* Commands that only read are limited to those without an option that writes or starts a program. Not among them:
  `sed` (its commands `w` and `e`), `find` (`-exec`, `-delete`), `rg` (`--pre`), `sort` (`-o`) and
  `git diff|log|show` (`--output`, `--ext-diff`).
* Commands for files need rules for their arguments. Each adapter has them, or its CLI checks the paths itself.

What each CLI makes of this is measured by the conformance scenario `commands`; the table is in
docs/reference/agents/permissions.md.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

READING: Final = ("cat", "git status", "grep", "head", "ls", "tail", "wc")
READING_EXACT: Final = ("git diff", "git diff --stat", "git diff HEAD", "git log", "git log --oneline")
FILE_COMMANDS: Final = ("cp", "mkdir", "mv", "rm", "touch")

ANY_ARGUMENTS: Final = " *"
"""End of an entry of `gump_allow_commands` that allows any arguments."""

PYTHON_PROGRAMS: Final = frozenset({"black", "flake8", "isort", "mypy", "pylint", "pytest", "ruff"})
"""Tools that are both a program and a module of the same name."""

_PYTHON_MODULES: Final = PYTHON_PROGRAMS | {"unittest"}
_PYTHON: Final = re.compile(r"python(?:\d[\d.]*)?")
_SEPARATOR: Final = re.compile(r"&&|;|\n")

_ANY_WORD: Final = "*"
_TOOLS: Final = tuple(
    tuple(line.split())
    for line in (
        "go build", "go test", "go vet", "golangci-lint run",
        "cargo build", "cargo check", "cargo clippy", "cargo fmt", "cargo nextest run", "cargo test",
        "npm test", "npm run *", "npx --no-install *", "npx *",
        "pnpm test", "pnpm run *", "pnpm exec *", "yarn test", "yarn run *",
        "bun test", "bun run *", "bun x --no-install *",
        "eslint", "jest", "mocha", "tsc", "vitest",
        "bundle exec rspec", "bundle exec rubocop", "rspec", "rubocop",
        "ctest", "dotnet build", "dotnet test", "phpunit", "swift build", "swift test",
    )
)  # fmt: skip
"""First words of tools whose further arguments only choose what they check. `*` stands for one word."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What an agent may do in one attempt."""

    writes: bool = False
    """False if the agent may write only its file in `.gump/out`. It then may run nothing."""
    everything: bool = False
    """True in a sandbox: every command may run."""
    exact: tuple[str, ...] = ()
    """Shell texts that may run as they are written."""
    tools: tuple[str, ...] = ()
    """Beginnings of commands that may run with any arguments."""
    reading: tuple[str, ...] = ()
    """Beginnings of commands that only read, whatever their arguments are."""
    reading_exact: tuple[str, ...] = ()
    """Commands that only read as they are written."""
    files: tuple[str, ...] = ()
    """Commands that may run with paths inside the worktree."""


NO_SHELL: Final = Permissions()


@dataclass(frozen=True, slots=True)
class Shell:
    """What a CLI does with shell commands, as far as an agent should know before it tries one."""

    sandbox: str = ""
    """Limits of the CLI's own sandbox, in which every command may run; empty without one. Sentences for the prompt."""
    sandbox_read_only: str = ""
    """The same for a read-only step. Without a sandbox, such a step has no shell."""
    reads_more: bool = False
    """True if the CLI itself finds out which further commands only read, such as `git log -p`."""
    refuses: str = ""
    """Forms of an allowed command that the CLI refuses. A list for the prompt."""
    no_rule_with: tuple[str, ...] = ()
    """Signs that no rule of the CLI can contain: it also refuses a command with them that may run as it is written."""
    answer: str = ""
    """What the CLI answers to a refused command, in its own words."""


def permissions(
    mode: str, gates: Iterable[str], *, allowed: Iterable[str] = (), sandboxed: bool = False
) -> Permissions:
    """Return what an agent may do.

    Args:
        mode: Mode of the step; every mode but `diff` is read-only.
        gates: Shell texts of the gate commands.
        allowed: The commands of `gump_allow_commands`. One that ends with ` *` may have any arguments.
        sandboxed: True if a sandbox limits the commands that the agent runs.
    """
    if mode != "diff":
        return NO_SHELL
    own = [command.strip() for command in allowed]
    free = [command.removesuffix(ANY_ARGUMENTS).rstrip() for command in own if command.endswith(ANY_ARGUMENTS)]
    commands = [command.strip() for command in gates]
    exact = [*commands, *(command for command in own if not command.endswith(ANY_ARGUMENTS))]
    tools = [*(name for command in commands for name in usual_names(command)), *free]
    return Permissions(
        writes=True,
        everything=sandboxed,
        exact=tuple(dict.fromkeys(filter(None, exact))),
        tools=tuple(dict.fromkeys(filter(None, tools))),
        reading=READING,
        reading_exact=READING_EXACT,
        files=FILE_COMMANDS,
    )


def usual_names(command: str) -> Iterator[str]:
    """Yield the names by which people call the known tools of a command: `pytest` for `/opt/bin/python -m pytest`."""
    for part in _SEPARATOR.split(command):
        try:
            argv = shlex.split(part)
        except ValueError:  # an open quote, for example because the text was split inside of one
            continue
        if argv:
            yield from _names(argv)


def _names(argv: Sequence[str]) -> Iterator[str]:
    program = PurePosixPath(argv[0]).name
    if _PYTHON.fullmatch(program):
        arguments = _python_arguments(argv[1:])
    elif program in PYTHON_PROGRAMS:
        yield shlex.quote(argv[0])
        arguments = ["-m", program]
    else:
        yield from _other_names(argv)
        return
    if not arguments:
        return
    if _PYTHON.fullmatch(program):
        yield shlex.join([argv[0], *arguments])
    if arguments[-1] in PYTHON_PROGRAMS:
        yield arguments[-1]
    yield from (shlex.join([python, *arguments]) for python in ("python", "python3"))


def _python_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that name a known tool; empty if there are none."""
    known = arguments[:1] == ["-m"] and arguments[1:2] and arguments[1] in _PYTHON_MODULES
    return list(arguments[:2]) if known or arguments[:2] == ["manage.py", "test"] else []


def _other_names(argv: Sequence[str]) -> Iterator[str]:
    fitting = [tool for tool in _TOOLS if _begins(argv, tool)]
    if fitting:
        beginning = argv[: max(map(len, fitting))]
        yield shlex.join(beginning)
        if list(beginning[1:]) == ["run", "test"]:
            yield f"{beginning[0]} test"


def _begins(argv: Sequence[str], tool: Sequence[str]) -> bool:
    """True if the command begins with the tool. An option does not stand for any word."""
    return len(argv) >= len(tool) and all(
        not word.startswith("-") if expected == _ANY_WORD else word == expected
        for word, expected in zip(argv, tool, strict=False)
    )
