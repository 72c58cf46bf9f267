"""Gemini CLI, headless."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Command
from pytest_gump.agents.clis.command_words import without
from pytest_gump.agents.clis.gemini_sessions import session_file
from pytest_gump.agents.clis.gemini_stream import CLI, GeminiReader
from pytest_gump.agents.program import Login, Program, Versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.agents.base import Forks, Provenance, StreamReader, Task

PROGRAM: Final = "gemini"

MODELS: Final[Mapping[str, str | None]] = {
    "gemini": None,
    "gemini-flash": "gemini-3-flash-preview",
    "gemini-pro": "gemini-3.1-pro-preview",
    "gemini-flash-lite": "gemini-3.1-flash-lite",
    "gemini-25-pro": "gemini-2.5-pro",
    "gemini-25-flash": "gemini-2.5-flash",
}
"""Short names, and what `-m` gets; None leaves it to the CLI's own setting."""

MODEL_NAME: Final = re.compile(r"(?P<model>gemini-[a-z0-9.\-]*\d[a-z0-9.\-]*)", re.ASCII)

HERE: Final = Path(__file__).parent
READ_POLICY: Final = HERE / "gemini_read.toml"
WRITE_POLICY: Final = HERE / "gemini_write.toml"

ENVIRONMENT: Final = {
    # Its launcher does not end on a signal, and starts a second node.
    "GEMINI_CLI_NO_RELAUNCH": "true",
    "GEMINI_TELEMETRY_ENABLED": "false",
    # Nobody's folder is trusted: settings, hooks and servers that lie in the worktree are not loaded.
    "GEMINI_CLI_TRUSTED_FOLDERS_PATH": str(HERE / "gemini_trust.json"),
}

ENVIRONMENT_NAMES: Final = (
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_GEMINI_BASE_URL",
    "GOOGLE_VERTEX_BASE_URL",
    "GOOGLE_GENAI_USE_VERTEXAI",
    "GOOGLE_GENAI_USE_GCA",
    "GOOGLE_GENAI_API_VERSION",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_ACCESS_TOKEN",
    "GOOGLE_CLOUD_LOCATION",
    "GOOGLE_CLOUD_PROJECT",
    "GOOGLE_CLOUD_PROJECT_ID",
    "GEMINI_CLI_HOME",
    "GEMINI_CLI_SYSTEM_DEFAULTS_PATH",
    "GEMINI_CLI_SYSTEM_SETTINGS_PATH",
    "GEMINI_MODEL",
)

GRANTING_OPTIONS: Final = frozenset({"--approval-mode", "--allowed-tools", "--policy", "--admin-policy"})
GRANTING_FLAGS: Final = frozenset({"-y", "--yolo"})

ABOUT: Final = Program(
    PROGRAM,
    "Gemini CLI",
    get="npm install -g @google/gemini-cli",
    tested=Versions("0.61.0", "0.61.0", on="2026-11-22"),
    login=Login(
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_ACCESS_TOKEN"),
        home=("GEMINI_CLI_HOME", "~"),
        file=".gemini/oauth_creds.json",
    ),
)


@dataclass(frozen=True, slots=True)
class GeminiAgent:
    """One name bound to a model.

    What the CLI confines, tried with 0.61: files are written inside the worktree only, by a policy that allows the
    tools that write and no approval mode; of the shell, commands that begin with an allowed one, and without
    redirection. Where the tree must not change (plan, artifact, review) there is no shell, and only `.gump/out` may be
    written. Settings, hooks and MCP servers that lie in the worktree are not loaded, unless the user has switched
    folder trust off. None of this is a sandbox: the check of the tree after the attempt covers the rest.
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
        argv = [PROGRAM, "--output-format", "stream-json", "--skip-trust"]
        if self.model is not None:
            argv += ["-m", self.model]
        if task.session is not None:
            argv.append(_begin_with(task.session.id, fork=task.fork))
        return Command(
            (*argv, *_permissions(task, self.arguments)),
            stdin=task.prompt.encode("utf-8", "replace"),
            env=ENVIRONMENT,
            env_names=ENVIRONMENT_NAMES,
        )

    def reader(self, task: Task) -> StreamReader:
        return GeminiReader(task, self.model)


def _begin_with(session_id: str, *, fork: bool) -> str:
    """What is read from a file gets an id of its own; ids can only be resumed."""
    return f"--session-file={session_file(session_id)}" if fork else f"--resume={session_id}"


def _permissions(task: Task, words: tuple[str, ...]) -> tuple[str, ...]:
    """What may be done, with the user's words; a repeated option would be an error."""
    case = ("--approval-mode", "default")
    narrow = without(words, options=GRANTING_OPTIONS, flags=GRANTING_FLAGS)
    if task.read_only:
        # Twice: policies of an administrator win over the user's own, but are ignored where the machine has some.
        return (*case, "--policy", str(READ_POLICY), "--admin-policy", str(READ_POLICY), *narrow)
    if narrow != words:
        return words
    # The CLI splits at commas: a command with one cannot be allowed.
    allowed = (
        f"--allowed-tools=run_shell_command({command})" for command in task.allowed_commands if "," not in command
    )
    return (*case, "--policy", str(WRITE_POLICY), *allowed, *words)
