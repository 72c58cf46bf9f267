"""Gemini CLI, headless. It cannot fork a conversation by its id, but it can start from a conversation's file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program, Versions
from pytest_gump.agents.shell.gemini_policy import shell_policy
from pytest_gump.agents.shell.permissions import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

_SHORT: Final = 8
"""Number of characters of a session id in the name of its file."""

HERE: Final = Path(__file__).parent
READ_POLICY: Final = HERE / "gemini_read.toml"
WRITE_POLICY: Final = HERE / "gemini_write.toml"
SHELL_POLICY: Final = "gemini-shell.toml"


class GeminiAgent(CliAgent):
    """One name bound to a model.

    Confinement by the CLI, tested with 0.61: files are written only inside the worktree, by tools that a policy allows,
    not an approval mode. The shell runs the allowed commands; each part of a command is checked separately. In
    read-only steps (plan, artifact, review) there is no shell, and only `.gump/out` can be written. Settings, hooks and
    MCP servers in the worktree are not loaded, unless the user has turned off folder trust. This is not a sandbox: the
    check of the tree after the attempt covers the rest.
    """

    cli: ClassVar = "gemini"
    program: ClassVar = Program(
        "gemini",
        "Gemini CLI",
        get="npm install -g @google/gemini-cli",
        tested=Versions("0.61.0", "0.61.0", on="2026-11-29"),
        login=Login(
            keys=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_ACCESS_TOKEN"),
            home=("GEMINI_CLI_HOME", "~"),
            file=".gemini/oauth_creds.json",
        ),
    )
    shell: ClassVar = Shell(
        refuses="an assignment before the command, `$(...)`, redirections except `2>&1` and `2>/dev/null`, quotes in "
        "file commands",
        no_rule_with=("`", "$(", "<(", "#"),
        answer="Tool execution denied by policy",
    )
    stream: ClassVar = "pytest_gump.agents.clis.gemini_stream:GeminiReader"
    models: ClassVar = {
        "gemini": None,
        "gemini-flash": "gemini-3-flash-preview",
        "gemini-pro": "gemini-3.1-pro-preview",
        "gemini-flash-lite": "gemini-3.1-flash-lite",
        "gemini-25-pro": "gemini-2.5-pro",
        "gemini-25-flash": "gemini-2.5-flash",
    }
    model_name: ClassVar = re.compile(r"(?P<model>gemini-[a-z0-9.\-]*\d[a-z0-9.\-]*)", re.ASCII)
    environment: ClassVar = {
        # The launcher does not end on a signal, and starts a second Node process.
        "GEMINI_CLI_NO_RELAUNCH": "true",
        "GEMINI_TELEMETRY_ENABLED": "false",
        # No folder is trusted, so settings, hooks and MCP servers in the worktree are not loaded.
        "GEMINI_CLI_TRUSTED_FOLDERS_PATH": str(HERE / "gemini_trust.json"),
    }
    environment_names: ClassVar = (
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
    grants: ClassVar = Grants(
        options=frozenset({"--approval-mode", "--allowed-tools", "--policy", "--admin-policy"}),
        flags=frozenset({"-y", "--yolo"}),
    )

    def _argv(self, task: Task) -> Iterable[str]:
        argv = ["--output-format", "stream-json", "--skip-trust"]
        if self.model is not None:
            argv += ["-m", self.model]
        if task.session is not None:
            # A conversation from a file gets a new id; by id, it can only be resumed.
            session = task.session.id
            argv.append(f"--session-file={session_file(session)}" if task.fork else f"--resume={session}")
        return (*argv, *self._permissions(task), *self._granted(task))

    def _permissions(self, task: Task) -> Iterable[str]:
        """Return the options for permissions, unless the user's own arguments set them: repeating one is an error."""
        mode = ("--approval-mode", "default")
        if task.read_only:
            # In both options: an admin policy overrides the user's, but is ignored if the machine has its own.
            return (*mode, "--policy", str(READ_POLICY), "--admin-policy", str(READ_POLICY))
        if self.grants.removed_from(self.arguments) != self.arguments:
            return ()
        own = () if task.folder is None else ("--policy", str(task.folder / SHELL_POLICY))
        return (*mode, "--policy", str(WRITE_POLICY), *own)

    def _files(self, task: Task) -> Mapping[str, str]:
        return {} if task.read_only else {SHELL_POLICY: shell_policy(task.permissions, task.worktree)}


def session_file(session_id: str) -> Path:
    """Return the file of a conversation; if there is none, a path that does not exist, which the CLI then reports.

    A resumed conversation has a second file, started at the resume; the first file contains everything.
    """
    chats = _home() / ".gemini" / "tmp"
    short = session_id[:_SHORT]
    found = [path for path in chats.glob("*/chats/session-*.jsonl") if path.stem.endswith(f"-{short}")]
    mine = [path for path in found if _holds(path, session_id)]
    return max(mine, key=lambda path: path.stat().st_size, default=chats / f"session-{short}.jsonl")


def _home() -> Path:
    return Path(os.environ.get("GEMINI_CLI_HOME") or Path.home())


def _holds(path: Path, session_id: str) -> bool:
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and first.get("sessionId") == session_id
