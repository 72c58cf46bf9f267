"""Qwen Code, headless: `qwen --output-format stream-json`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.clis.qwen_defaults import DEFAULTS, SETTINGS, defaults
from pytest_gump.agents.clis.qwen_sessions import bring
from pytest_gump.agents.program import Login, Program, Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

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

MODE: Final = Grants(options=frozenset({"--approval-mode"}), flags=frozenset({"--yolo", "-y"}))

HAND_OVER: Final = "/.gump/out/**"
"""As a rule for a path: the first `/` is the working directory."""


class QwenAgent(CliAgent):
    """One name bound to a model.

    What the CLI confines, tried with 0.24.4: in its default approval mode it does nothing that would need a question
    and that no rule allows. Files are written below the working directory only (`auto-edit` writes anywhere); where
    the tree must not change, below `.gump/out` only, and there is no shell (`plan` takes the hand-over away too). Of
    the shell, what the CLI takes for harmless, and commands that begin with an allowed one, without redirection and
    substitution. `--safe-mode` leaves out hooks, MCP servers, skills and context files of the worktree (by default its
    hooks run and its settings lift all this), and those of the user; that the folder is not trusted leaves out what
    remains of the settings of the worktree. None of this is a sandbox.
    """

    cli: ClassVar = "qwen"
    program: ClassVar = Program(
        "qwen",
        "Qwen Code",
        get="npm install -g @qwen-code/qwen-code",
        tested=Versions("0.24.4", "0.24.4", on="2026-11-22"),
        login=Login(
            keys=("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY"),
            home=("QWEN_HOME", "~/.qwen"),
            file="oauth_creds.json",
        ),
    )
    stream: ClassVar = "pytest_gump.agents.clis.qwen_stream:QwenReader"
    models: ClassVar = {
        "qwen": None,
        "qwen-local": None,
        "qwen-coder": "qwen3-coder",
        "qwen-coder-plus": "qwen3-coder-plus",
        "qwen-plus": "qwen3-coder-plus",
    }
    model_name: ClassVar = re.compile(r"qwen-(?P<model>[A-Za-z0-9][\w.:/@\-]*\d[\w.:/@\-]*)", re.ASCII)
    environment: ClassVar = {"QWEN_USAGE_STATISTICS_ENABLED": "false", "QWEN_CODE_DISABLE_CRON": "1"}
    environment_names: ClassVar = (
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
    grants: ClassVar = Grants(
        options=MODE.options | {"--allowed-tools", "--add-dir", "--include-directories"},
        flags=MODE.flags | {"--no-safe-mode", "--safe-mode=false"},
    )

    def _argv(self, task: Task) -> Iterable[str]:
        arguments = self._granted(task)
        argv = ["--output-format", "stream-json", "--safe-mode"]
        if MODE.removed_from(arguments) == arguments:  # it does not bear a second one
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
        return (*argv, *arguments)

    def _environment(self, task: Task) -> Mapping[str, str]:
        wide = self._granted(task) != self.grants.removed_from(self.arguments)
        # A key and an address in the environment are taken only together with a model there.
        model = {} if self.model is None else {"QWEN_MODEL": self.model}
        return {**self.environment, **defaults(wide=wide), **model}


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
