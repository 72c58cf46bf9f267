"""OpenCode, headless: `opencode run`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program, Versions
from pytest_gump.agents.shell.opencode_rules import shell_rules
from pytest_gump.agents.shell.permissions import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
    "google": ("GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"),
    "openrouter": ("OPENROUTER_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "xai": ("XAI_API_KEY",),
}
"""Variables that each provider reads; those of other providers are not passed on."""

OUTPUT_FILES: Final = ".gump/out/*"
"""Pattern for a path relative to the working directory; `*` also matches `/`."""


# Denied explicitly: without a user to ask, a question ends the whole run.
REFUSED: Final[Mapping[str, object]] = {
    "task": "deny",
    "skill": "deny",
    # Three equal calls in one answer: a denial would end the run too. The guards stop an agent that repeats itself.
    "doom_loop": "allow",
    "webfetch": "deny",
    "websearch": "deny",
    "external_directory": {"*": "deny", "~/.local/share/opencode/tool-output/*": "allow"},
    "read": {"*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow"},
}

API_KEYS: Final = tuple(name for names in KEYS.values() for name in names if name.endswith("_KEY"))


class OpencodeAgent(CliAgent):
    """One name bound to a model, `PROVIDER/MODEL`.

    Confinement by the CLI, tested with 1.18.33: files are read and written only inside the worktree. In read-only
    steps, they are written only below `.gump/out`, and the model gets no shell. Otherwise the shell runs the allowed
    commands; each part of a compound command is checked separately. There are no subagents, because their
    tokens would be on no stream. Settings, agents, MCP servers and AGENTS.md of the worktree are not loaded. But
    **plugins in `.opencode/plugin` of the worktree run**, and no option turns this off: an attempt that changes
    `.opencode/` fails. This is not a sandbox.
    """

    cli: ClassVar = "opencode"
    program: ClassVar = Program(
        "opencode",
        "OpenCode",
        get="npm install -g opencode-ai",
        tested=Versions("1.18.33", "1.18.33", on="2026-11-29"),
        login=Login(
            keys=("OPENCODE_API_KEY", "OPENCODE_AUTH_CONTENT", *API_KEYS),
            home=("XDG_DATA_HOME", "~/.local/share"),
            file="opencode/auth.json",
        ),
    )
    shell: ClassVar = Shell(
        refuses="`timeout` with options, an assignment before the command, `$(...)`, redirections except `2>&1` "
        "and `2>/dev/null`, quotes in file commands",
        no_rule_with=("`", "$(", "#"),
        answer="The user has specified a rule which prevents you from using this specific tool call",
    )
    stream: ClassVar = "pytest_gump.agents.clis.opencode_stream:OpencodeReader"
    models: ClassVar = {
        "opencode": None,
        "opencode-opus": "anthropic/claude-opus-5-5",
        "opencode-sonnet": "anthropic/claude-sonnet-5",
        "opencode-haiku": "anthropic/claude-haiku-4-5",
        "opencode-gpt55": "openai/gpt-5.5",
        "opencode-gpt54": "openai/gpt-5.4",
        "opencode-gpt53": "openai/gpt-5.3-codex",
        "opencode-gemini": "google/gemini-3.1-pro-preview",
    }
    model_name: ClassVar = re.compile(r"opencode-(?P<model>[a-z0-9][\w.\-]*/[A-Za-z0-9][\w.:/@\-]*)", re.ASCII)
    environment: ClassVar = {
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "OPENCODE_DISABLE_SHARE": "1",
        "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        "OPENCODE_DISABLE_CLAUDE_CODE": "1",
        "OPENCODE_DISABLE_EXTERNAL_SKILLS": "1",
        # A configuration in the tree overrides all permissions set here.
        "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
    }
    environment_names: ClassVar = (
        "OPENCODE_API_KEY",
        "OPENCODE_AUTH_CONTENT",
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_CONFIG_DIR",
        "OPENCODE_DB",
        "OPENCODE_DISABLE_MODELS_FETCH",
        "OPENCODE_MODELS_PATH",
        "OPENCODE_MODELS_URL",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    )
    reports_cost: ClassVar = True
    forks: ClassVar = "in its worktree"
    grants: ClassVar = Grants(flags=frozenset({"--auto", "--auto=true"}))

    def _argv(self, task: Task) -> Iterable[str]:
        # With a title, the CLI does not ask the model for one. That request would be on no stream.
        # Only the log contains the errors after which the CLI tries again.
        argv = ["run", "--format", "json", "--print-logs", "--log-level=ERROR", f"--title=gump {task.step}"]
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv += [f"--session={task.session.id}", *(("--fork",) if task.fork else ())]
        return (*argv, *self._granted(task))

    def _environment(self, task: Task) -> Mapping[str, str]:
        return {**self.environment, "OPENCODE_PERMISSION": json.dumps(_permission(task), ensure_ascii=False)}

    def _environment_names(self) -> Iterable[str]:
        return (*self.environment_names, *_keys(self.model))


def _permission(task: Task) -> dict[str, object]:
    """Return the permissions. The last matching pattern decides, so denials come first."""
    if task.read_only:
        return {**REFUSED, "edit": {"*": "deny", OUTPUT_FILES: "allow"}, "bash": "deny"}
    return {**REFUSED, "edit": "allow", "bash": shell_rules(task.permissions)}


def _keys(model: str | None) -> tuple[str, ...]:
    if model is None:
        return tuple(name for names in KEYS.values() for name in names)
    return KEYS.get(model.partition("/")[0], ())
