"""Claude Code, headless: `claude -p`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents import prices
from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.claude_clouds import cloud_names
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program, Versions
from pytest_gump.agents.shell.permissions import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_gump.agents.base import Task
    from pytest_gump.agents.shell.permissions import Permissions

NEWEST: Final[Mapping[str, str]] = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5",
    "haiku": "claude-haiku-4-5",
}
"""The newest model of each kind in the price table, to show what a short name may cost. Claude Code itself chooses the
model and reports the cost."""

# These tools leave the worktree, or run after the attempt has ended.
REFUSED_TOOLS: Final = ("EnterWorktree", "CronCreate", "ScheduleWakeup")

READ_ONLY_TOOLS: Final = ("Read", "Grep", "Glob", "Write", "Edit")

# A rule for Edit applies to every tool that writes files; the path is relative to the working directory.
OUTPUT_RULE: Final = "Edit(.gump/out/**)"


class ClaudeAgent(CliAgent):
    """One name bound to a model.

    Confinement by the CLI, tested with 2.1.332: files are written only inside the worktree (`acceptEdits`, with Write
    and Edit left out of the allowed tools). Bash runs commands that the CLI considers harmless, including file commands
    inside the worktree, and the allowed commands. The CLI parses a command and checks each part, so a rule for a
    beginning allows neither a second command nor a redirection to another folder. Settings, hooks and MCP servers in
    the worktree are not loaded: an agent could have written them, and by default they run. In read-only steps (plan,
    artifact, review) there is no Bash, and only `.gump/out` can be written. This is not a sandbox: the check of the
    tree after the attempt covers what an allowed command does, and changes in the CLI.
    """

    cli: ClassVar = "claude"
    program: ClassVar = Program(
        "claude",
        "Claude Code",
        get="npm install -g @anthropic-ai/claude-code",
        tested=Versions("2.1.330", "2.1.332", on="2026-11-29"),
        login=Login(
            keys=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"),
            home=("CLAUDE_CONFIG_DIR", "~/.claude"),
            file=".credentials.json",
        ),
    )
    shell: ClassVar = Shell(
        reads_more=True,
        refuses="an assignment before the command, `$(...)`, `cp` and `mv` with options",
        answer="This command requires approval",
    )
    stream: ClassVar = "pytest_gump.agents.clis.claude_stream:ClaudeReader"
    models: ClassVar = {
        "claude": None,
        "claude-opus": "opus",
        "claude-sonnet": "sonnet",
        "claude-haiku": "haiku",
        "claude-opusplan": "opusplan",
    }
    model_name: ClassVar = re.compile(r"(?P<model>claude-[a-z0-9.\-]*\d[a-z0-9.\-]*(?:\[[0-9a-z]+\])?)", re.ASCII)
    environment: ClassVar = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        # The default of ten retries means three minutes without output for a wrong key or a dead server.
        "CLAUDE_CODE_MAX_RETRIES": "4",
    }
    environment_names: ClassVar = (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_CUSTOM_HEADERS",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_SMALL_FAST_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "ANTHROPIC_DEFAULT_SONNET_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
    )
    reports_cost: ClassVar = True
    # A second `--settings` or `--tools` would replace ours.
    grants: ClassVar = Grants(
        options=frozenset(
            {"--permission-mode", "--permission-prompts", "--permission-prompt-tool", "--settings", "--setting-sources"}
        ),
        flags=frozenset({"--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"}),
        lists=frozenset({"--allowedTools", "--allowed-tools", "--tools", "--add-dir"}),
    )

    @property
    def priced_as(self) -> str | None:
        priced = super().priced_as
        return priced if prices.source(priced) else NEWEST.get(self.model or "", priced)

    @property
    def why_unpriced(self) -> str:
        return "it uses two models" if self.model == "opusplan" else super().why_unpriced

    def _argv(self, task: Task) -> Iterable[str]:
        argv = ["-p", "--output-format", "stream-json", "--verbose"]
        if self.model is not None:
            argv += ["--model", self.model]
        if task.session is not None:
            argv += [f"--resume={task.session.id}", *(("--fork-session",) if task.fork else ())]
        if task.max_turns is not None:
            argv += ["--max-turns", str(task.max_turns)]
        if task.max_budget is not None:
            argv += ["--max-budget-usd", f"{task.max_budget:.6f}"]
        argv += ["--setting-sources", "user", "--strict-mcp-config", *_permissions(task)]
        return (*argv, *self._granted(task))

    def _environment_names(self) -> Iterable[str]:
        return (*self.environment_names, *cloud_names())


def _permissions(task: Task) -> list[str]:
    if task.read_only:
        return ["--permission-mode", "dontAsk", "--tools", ",".join(READ_ONLY_TOOLS), *_allow(OUTPUT_RULE)]
    argv = ["--permission-mode", "acceptEdits", "--disallowedTools", ",".join(REFUSED_TOOLS)]
    return argv + _allow(*_shell_rules(task.permissions))


def _shell_rules(permissions: Permissions) -> Iterator[str]:
    """Yield rules for the shell. Reading and file commands have none: the CLI's own check is stricter than a rule."""
    if permissions.everything:
        yield "Bash"
        return
    yield from (f"Bash({_literal(command)})" for command in permissions.exact_parts)
    yield from (f"Bash({_escaped(tool)} *)" for tool in permissions.tools)  # the rule includes "no arguments"


def _literal(command: str) -> str:
    """Return a rule for a command as it is written, in which `*` would match any text.

    The CLI knows `\\*` only in a rule with another `*`, so further arguments may follow.
    """
    return f"{_escaped(command)}*" if "*" in command else command


def _escaped(text: str) -> str:
    return text.replace("*", "\\*")


def _allow(*rules: str) -> list[str]:
    """Return the rules as settings: on the command line, rules are split at commas and spaces."""
    return ["--settings", json.dumps({"permissions": {"allow": rules}}, ensure_ascii=False)] if rules else []
