"""Qwen Code, headless: `qwen --output-format stream-json`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.clis.qwen_defaults import DEFAULTS, SETTINGS, defaults
from pytest_gump.agents.clis.qwen_sessions import copy_conversation
from pytest_gump.agents.program import Login, Program, Versions
from pytest_gump.agents.shell.permissions import Shell
from pytest_gump.agents.shell.qwen_rules import NO_RULE_WITH, TIMES, allowed_commands, refused_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

# These tools leave the worktree, run after the attempt has ended, or open a browser.
REFUSED_TOOLS: Final = (
    "enter_worktree",
    "exit_worktree",
    "cron_create",
    "loop_wakeup",
    "monitor",
    "record_artifact",
)

MODE: Final = Grants(options=frozenset({"--approval-mode"}), flags=frozenset({"--yolo", "-y"}))

OUTPUT_FILES: Final = "/.gump/out/**"
"""Path in a rule; the first `/` is the working directory."""


class QwenAgent(CliAgent):
    """One name bound to a model.

    Confinement by the CLI, tested with 0.24.4: the default approval mode denies everything that would need a question
    and that no rule allows. Files are written only below the working directory (`auto-edit` writes anywhere). In
    read-only steps, they are written only below `.gump/out`, and there is no shell (mode `plan` would not even allow
    `.gump/out`). The shell runs commands that the CLI considers harmless, and commands that start with an allowed one,
    without redirection and substitution. `--safe-mode` ignores hooks, MCP servers, skills and context files of the
    user and of the worktree (whose hooks run by default, and whose settings can override all this). The folder is not
    trusted, so the other settings of the worktree are ignored too. This is not a sandbox.
    """

    cli: ClassVar = "qwen"
    program: ClassVar = Program(
        "qwen",
        "Qwen Code",
        get="npm install -g @qwen-code/qwen-code",
        tested=Versions("0.24.4", "0.24.4", on="2026-11-29"),
        login=Login(
            keys=("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY"),
            home=("QWEN_HOME", "~/.qwen"),
            file="oauth_creds.json",
        ),
    )
    shell: ClassVar = Shell(
        reads_more=True,
        refuses=f"`cd`, `timeout` except with {', '.join(map(str, TIMES))} seconds, `$(...)`, redirections except "
        "`2>&1`, absolute paths and patterns in file commands",
        no_rule_with=NO_RULE_WITH,
        answer="that permission was declined",
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
        if MODE.removed_from(arguments) == arguments:  # the CLI does not accept it twice
            argv += ["--approval-mode", "default"]
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv.append(f"--resume={task.session.id}")
            if task.fork:
                copy_conversation(task.session.id, task.worktree)
                argv.append("--fork-session")
        if task.max_turns is not None:
            argv.append(f"--max-session-turns={task.max_turns}")
        argv += [f"--exclude-tools={rule}" for rule in (*REFUSED_TOOLS, *refused_commands(task.permissions))]
        argv += [f"--allowed-tools={rule}" for rule in _rules(task)]
        return (*argv, *arguments)

    def _environment(self, task: Task) -> Mapping[str, str]:
        wide = self._granted(task) != self.grants.removed_from(self.arguments)
        # The CLI uses a key and a URL from the environment only if a model is set there too.
        model = {} if self.model is None else {"QWEN_MODEL": self.model}
        return {**self.environment, **defaults(wide=wide), **model}


def _rules(task: Task) -> list[str]:
    where = OUTPUT_FILES if task.read_only else "/**"
    rules = [f"write_file({where})", f"edit({where})"]
    if task.read_only:
        return rules
    return [*rules, f"notebook_edit({where})", *allowed_commands(task.permissions)]
