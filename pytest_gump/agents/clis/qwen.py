"""Qwen Code, headless: `qwen --output-format stream-json`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Command
from pytest_gump.agents.clis.command_words import without
from pytest_gump.agents.clis.qwen_defaults import DEFAULTS, SETTINGS, defaults
from pytest_gump.agents.clis.qwen_sessions import bring
from pytest_gump.agents.clis.qwen_stream import CLI, QwenReader
from pytest_gump.agents.program import Login, Program, Versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.agents.base import Forks, Provenance, StreamReader, Task

PROGRAM: Final = "qwen"

MODELS: Final[Mapping[str, str | None]] = {
    "qwen": None,
    "qwen-local": None,
    "qwen-coder": "qwen3-coder",
    "qwen-coder-plus": "qwen3-coder-plus",
    "qwen-plus": "qwen3-coder-plus",
}
"""Short names, and what `--model` gets; None leaves it to the CLI's own setting."""

MODEL_NAME: Final = re.compile(r"qwen-(?P<model>[A-Za-z0-9][\w.:/@\-]*\d[\w.:/@\-]*)", re.ASCII)

ENVIRONMENT: Final = {"QWEN_USAGE_STATISTICS_ENABLED": "false", "QWEN_CODE_DISABLE_CRON": "1"}

ENVIRONMENT_NAMES: Final = (
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_MODEL",
    "QWEN_MODEL",
    "QWEN_OAUTH",
    "QWEN_HOME",
    "DASHSCOPE_API_KEY",
    "BAILIAN_CODING_PLAN_API_KEY",
    "QWEN_CODE_API_TIMEOUT_MS",
    DEFAULTS,
    SETTINGS,
    "QWEN_CODE_MAX_OUTPUT_TOKENS",
)

# They leave the worktree, go on after the attempt, or open a browser.
REFUSED_TOOLS: Final = (
    "enter_worktree",
    "exit_worktree",
    "cron_create",
    "loop_wakeup",
    "monitor",
    "record_artifact",
)

# A rule for a command allows whatever follows it, and with these, files anywhere and other commands.
DANGEROUS_SHELL: Final = (">", "$", "`", "(")

MODE_OPTIONS: Final = frozenset({"--approval-mode"})
MODE_FLAGS: Final = frozenset({"--yolo", "-y"})
GRANTING_OPTIONS: Final = frozenset({*MODE_OPTIONS, "--allowed-tools", "--add-dir", "--include-directories"})
GRANTING_FLAGS: Final = frozenset({*MODE_FLAGS, "--no-safe-mode", "--safe-mode=false"})

HAND_OVER: Final = "/.gump/out/**"
"""As a rule for a path: the first `/` is the working directory."""

ABOUT: Final = Program(
    PROGRAM,
    "Qwen Code",
    get="npm install -g @qwen-code/qwen-code",
    tested=Versions("0.24.4", "0.24.4", on="2026-11-22"),
    login=Login(
        keys=("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY"),
        home=("QWEN_HOME", "~/.qwen"),
        file="oauth_creds.json",
    ),
)


@dataclass(frozen=True, slots=True)
class QwenAgent:
    """One name bound to a model.

    What the CLI confines, tried with 0.24.4: in its default approval mode it does nothing that would need a question
    and that no rule allows. Files are written below the working directory only (`auto-edit` writes anywhere); where
    the tree must not change, below `.gump/out` only, and there is no shell (`plan` takes the hand-over away too). Of
    the shell, what the CLI takes for harmless, and commands that begin with an allowed one, without redirection and
    substitution. `--safe-mode` leaves out hooks, MCP servers, skills and context files of the worktree (by default its
    hooks run and its settings lift all this), and those of the user; that the folder is not trusted leaves out what
    remains of the settings of the worktree. None of this is a sandbox.
    """

    name: str
    model: str | None = None
    arguments: tuple[str, ...] = ()
    """Further words for the command line: the user's own, wider grant, for steps that change files."""

    @property
    def cli(self) -> str:
        return CLI

    @property
    def cost(self) -> Provenance:
        return prices.provenance(prices.priced_as(self.model, CLI))

    @property
    def forks(self) -> Forks:
        return "anywhere"

    def missing(self) -> str | None:
        return ABOUT.missing()

    def command(self, task: Task) -> Command:
        narrow = without(self.arguments, options=GRANTING_OPTIONS, flags=GRANTING_FLAGS)
        words = narrow if task.read_only else self.arguments
        argv = [PROGRAM, "--output-format", "stream-json", "--safe-mode"]
        if without(words, options=MODE_OPTIONS, flags=MODE_FLAGS) == words:  # it does not bear a second one
            argv += ["--approval-mode", "default"]
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv.append(f"--resume={task.session.id}")
            if task.fork:
                bring(task.session.id, task.worktree)
                argv.append("--fork-session")
        if task.max_turns is not None:
            argv.append(f"--max-session-turns={task.max_turns}")
        argv += [f"--exclude-tools={rule}" for rule in (*REFUSED_TOOLS, *_refused_commands(task))]
        argv += [f"--allowed-tools={rule}" for rule in _rules(task)]
        return Command(
            (*argv, *words),
            stdin=task.prompt.encode("utf-8", "replace"),
            env={**ENVIRONMENT, **defaults(wide=words != narrow), **self._model_named()},
            env_names=ENVIRONMENT_NAMES,
        )

    def _model_named(self) -> dict[str, str]:
        """A key and an address in the environment are taken only together with a model there."""
        return {} if self.model is None else {"QWEN_MODEL": self.model}

    def reader(self, task: Task) -> StreamReader:
        return QwenReader(task, self.model)


def _refused_commands(task: Task) -> list[str]:
    """Nothing that an allowed command itself needs."""
    needed = "".join(task.allowed_commands)
    return [f"run_shell_command(*{sign}*)" for sign in DANGEROUS_SHELL if sign not in needed]


def _rules(task: Task) -> list[str]:
    where = HAND_OVER if task.read_only else "/**"
    rules = [f"write_file({where})", f"edit({where})"]
    if task.read_only:
        return rules
    # The CLI splits the option at commas, and the second part would be a rule of its own.
    commands = [command for command in task.allowed_commands if "," not in command and "\n" not in command]
    return [*rules, f"notebook_edit({where})", *(f"run_shell_command({command})" for command in commands)]
