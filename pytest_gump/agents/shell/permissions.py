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
_PART: Final = re.compile(r"""(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|[<>]&|&>|>\||[^;&|\n])+""", re.DOTALL)
"""Text between `;`, `&`, `|` and line breaks outside of quotes. `2>&1`, `&>` and `>|` belong to a part."""

_ANY_WORD: Final = "*"
_SCRIPT: Final = "SCRIPT"
_TOOLS: Final = tuple(
    tuple(line.split())
    for line in (
        "go build", "go test", "go vet", "golangci-lint run", "gotestsum", "staticcheck",
        "cargo build", "cargo check", "cargo clippy", "cargo fmt", "cargo llvm-cov", "cargo nextest run", "cargo test",
        "npm test", "npm run *", "npm run-script *", "npx *",
        "pnpm test", "pnpm run *", "pnpm exec *", "pnpm SCRIPT",
        "yarn test", "yarn run *", "yarn SCRIPT", "yarn workspace * test", "yarn workspace * run *",
        "bun test", "bun run *", "bun x *", "bunx *", "deno test", "deno lint", "deno check",
        "biome check", "biome lint", "eslint", "jest", "mocha", "playwright test", "prettier", "tsc", "vitest",
        "basedpyright", "manage.py test", "pre-commit run", "pyright", "ty check",
        "rspec", "rubocop", "bundle exec rspec", "bundle exec rubocop", "rails test", "bundle exec rails test",
        "bazel build", "bazel test", "ctest", "dart analyze", "dart test", "dotnet build", "dotnet test",
        "flutter analyze", "flutter test", "mix test", "pest", "phpstan analyse", "phpunit",
        "swift build", "swift test",
    )
)  # fmt: skip
"""First words of tools whose further arguments only choose what they check. `*` stands for one word, `SCRIPT` for a
usual name of a script or tool: `yarn publish` is not a script."""
_SCRIPTS: Final = re.compile(
    r"(?:test|lint|check|type-?check|build|compile|format|fmt|coverage|unit|e2e|eslint|jest|mocha|playwright|prettier"
    r"|tsc|vitest)(?:[:.-][\w:.-]*)?"
)

_RUNNERS: Final = ("uv run", "poetry run", "pdm run", "pipenv run", "rye run", "hatch run", "pixi run", "conda run")
"""Programs that run another program in an environment of the project."""
_LAUNCHERS: Final = frozenset({"command", "env", "exec", "nohup", "time", "xvfb-run"})
_SHELLS: Final = frozenset({"bash", "dash", "sh", "zsh"})
_ASSIGNMENT: Final = re.compile(r"\w+=.*", re.DOTALL)
_DURATION: Final = re.compile(r"\d+[smh]?")
_WITH_VALUE: Final = frozenset(
    {"-C", "--cwd", "--dir", "--filter", "--prefix", "--workspace", "-w", "--manifest-path", "-X", "-W", "-n", "-p"}
    | {"--with", "--python", "--extra", "--group", "--package", "--project", "--directory", "--env-file"}
)
"""Options before the words of a tool whose value is the next word."""


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

    @property
    def exact_parts(self) -> tuple[str, ...]:
        """The commands of `exact`, and the parts of those that join several: a CLI also compares each part."""
        return tuple(dict.fromkeys(text for command in self.exact for text in (command, *parts(command))))


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


def parts(command: str) -> tuple[str, ...]:
    """Return the commands that a line of the shell joins with `&&`, `|`, `;` and so on, as they are written."""
    return tuple(filter(None, map(str.strip, _PART.findall(command))))


def usual_names(command: str) -> Iterator[str]:
    """Yield the names by which people call the known tools of a command: `pytest` for `/opt/bin/python -m pytest`."""
    for part in parts(command):
        try:
            argv = shlex.split(part.strip("(){}! "))
        except ValueError:  # an open quote
            continue
        yield from _names(_without_launchers(argv))


def _without_launchers(argv: list[str]) -> list[str]:
    """Remove assignments, and programs that only start another one."""
    while argv:
        if _ASSIGNMENT.fullmatch(argv[0]) or argv[0] in _LAUNCHERS:
            argv = argv[1:]
        elif argv[0] == "timeout" and _DURATION.fullmatch("".join(argv[1:2])):
            argv = argv[2:]
        else:
            break
    return argv


def _names(argv: Sequence[str]) -> Iterator[str]:
    if not argv:
        return
    program = PurePosixPath(argv[0]).name
    if program in _SHELLS:
        yield from _names_in_shell(argv)
    elif " ".join(argv[:2]) in _RUNNERS:
        yield from _names_with_runner(argv)
    elif program == "coverage":
        yield from _names_in_coverage(argv, 1)
    elif _PYTHON.fullmatch(program):
        yield from _python_names(argv)
    elif program in PYTHON_PROGRAMS:
        yield shlex.quote(argv[0])
        yield from _module_names(["-m", program])
    else:
        yield from _other_names(argv)


def _names_in_shell(argv: Sequence[str]) -> Iterator[str]:
    """Yield the names in the text of `bash -c TEXT`."""
    option = next((number for number, word in enumerate(argv) if re.fullmatch(r"-[a-z]*c", word)), None)
    if option is not None and option + 1 < len(argv):
        yield from usual_names(argv[option + 1])


def _names_with_runner(argv: Sequence[str]) -> Iterator[str]:
    start = _after_options(argv, 2)
    inner = tuple(_names(argv[start:]))
    for runner in dict.fromkeys((shlex.join(argv[:start]), shlex.join(argv[:2]))):
        yield from (f"{runner} {name}" for name in inner)
    yield from inner


def _python_names(argv: Sequence[str]) -> Iterator[str]:
    start = _after_options(argv, 1, until="-m")
    match argv[start:]:
        case ["-m", "coverage", *_]:
            yield from _names_in_coverage(argv, start + 2)
        case ["-m", module, *_] if module in _PYTHON_MODULES:
            yield shlex.join(argv[: start + 2])
            yield from _module_names(argv[start : start + 2])
        case ["manage.py", "test", *_]:
            yield shlex.join(argv[: start + 2])
            yield from _module_names(argv[start : start + 2])


def _names_in_coverage(argv: Sequence[str], start: int) -> Iterator[str]:
    """Yield the names in `coverage run -m MODULE`; `start` is the position of `run`."""
    module = _after_options(argv, start + 1, until="-m")
    if list(argv[start : start + 1]) == ["run"] and (inner := list(_python_names(["python", *argv[module:]]))):
        yield shlex.join(argv[: module + 2])
        yield from inner


def _module_names(arguments: Sequence[str]) -> Iterator[str]:
    if arguments[-1] in PYTHON_PROGRAMS:
        yield arguments[-1]
    yield from (shlex.join([python, *arguments]) for python in ("python", "python3"))


def _other_names(argv: Sequence[str]) -> Iterator[str]:
    length = max((_length(argv, tool) for tool in _TOOLS), default=0)
    if length:
        yield shlex.join(argv[:length])
        if list(argv[1:length]) == ["run", "test"]:
            yield f"{argv[0]} test"


def _length(argv: Sequence[str], tool: Sequence[str]) -> int:
    """Return how many words of a command are the tool, with options between its words; 0 for another command."""
    if PurePosixPath(argv[0]).name != tool[0]:
        return 0
    position = 1
    for expected in tool[1:]:
        position = _after_options(argv, position)
        if position >= len(argv) or not _is_word(argv[position], expected):
            return 0
        position += 1
    return position


def _is_word(word: str, expected: str) -> bool:
    if expected == _SCRIPT:
        return _SCRIPTS.fullmatch(word) is not None
    return expected in (_ANY_WORD, word)


def _after_options(argv: Sequence[str], start: int, *, until: str = "") -> int:
    """Return the position of the first word from `start` that is neither an option nor its value, or is `until`."""
    while start < len(argv) and argv[start] != until and argv[start].startswith(("-", "+")):
        start += 2 if argv[start] in _WITH_VALUE else 1
    return start
