"""GitHub Copilot CLI, headless: `copilot --output-format json`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.clis.adapter import CliAgent
from pytest_gump.agents.clis.command_words import Grants
from pytest_gump.agents.program import Login, Program, Versions
from pytest_gump.agents.shell.copilot_rules import plugin, shell_rules
from pytest_gump.agents.shell.permissions import Shell
from pytest_gump.agents.streams import ndjson
from pytest_gump.system.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

FILE_TOOLS: Final = ("view", "create", "edit", "apply_patch", "grep", "rg", "glob")
"""Their names depend on the model: models of OpenAI get `apply_patch` and `rg`, others `create`, `edit` and `grep`."""

SHELL_TOOLS: Final = ("bash", "read_bash", "stop_bash", "list_bash")

OUTPUT_FILES: Final = ".gump/out/*"
"""With `**`, a rule also matches `.gump/out/../../file`: the CLI compares the path as the model wrote it."""

TOKENS: Final = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
KEYS: Final = ("COPILOT_PROVIDER_API_KEY", "COPILOT_PROVIDER_BEARER_TOKEN")

_ID: Final = re.compile(r"[0-9a-fA-F-]{32,36}", re.ASCII)
_EVENTS: Final = "events.jsonl"
"""The only file that a conversation needs; the CLI creates the others (1.0.102)."""


class CopilotAgent(CliAgent):
    """One name bound to a model.

    Confinement by the CLI, tested with 1.0.102: nobody can answer, so it denies everything that would need a question
    and that no rule allows. Files are written only below the working directory. The shell runs commands that the CLI
    considers harmless, and those whose program has a rule. The CLI checks every part of a line, and refuses paths
    outside the worktree. A hook of pytest-gump also refuses other arguments, and paths that the CLI does not see. In
    read-only steps there is no shell, and only `.gump/out` can be written. Hooks, MCP servers, skills and agents of the
    worktree are not loaded, because the folder is not trusted. Instructions (`AGENTS.md`) are read. This is not a
    sandbox.
    """

    cli: ClassVar = "copilot"
    program: ClassVar = Program(
        "copilot",
        "GitHub Copilot CLI",
        get="npm install -g @github/copilot",
        tested=Versions("1.0.102", "1.0.102", on="2026-11-29"),
        login=Login(keys=(*TOKENS, *KEYS)),
    )
    shell: ClassVar = Shell(
        reads_more=True,
        refuses="an assignment before the command, `$(...)`, programs by an absolute path, `~`, `$` and `{` in paths",
        answer="Permission denied because no interactive user response was available",
    )
    stream: ClassVar = "pytest_gump.agents.clis.copilot_stream:CopilotReader"
    models: ClassVar = {
        "copilot": None,
        "copilot-opus": "claude-opus-5.5",
        "copilot-sonnet": "claude-sonnet-5.5",
        "copilot-haiku": "claude-haiku-4.5",
        "copilot-gpt55": "gpt-5.5",
        "copilot-gpt54": "gpt-5.4",
        "copilot-gpt54-mini": "gpt-5.4-mini",
        "copilot-gpt53": "gpt-5.3-codex",
        "copilot-gemini": "gemini-3.8-flash",
    }
    model_name: ClassVar = re.compile(r"copilot-(?P<model>[A-Za-z0-9][\w.:/@\-]*\d[\w.:/@\-]*)", re.ASCII)
    environment: ClassVar = {
        # The stream has no tokens. The spans of OpenTelemetry have them, and this writes them to the same pipe.
        "COPILOT_OTEL_EXPORTER_TYPE": "file",
        "COPILOT_OTEL_FILE_EXPORTER_PATH": "/dev/stdout",
        "COPILOT_AUTO_UPDATE": "false",
    }
    environment_names: ClassVar = (
        *TOKENS,
        *KEYS,
        "COPILOT_PROVIDER_API_KEY_COMMAND",
        "COPILOT_PROVIDER_AZURE_API_VERSION",
        "COPILOT_PROVIDER_BASE_URL",
        "COPILOT_PROVIDER_HEADERS",
        "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS",
        "COPILOT_PROVIDER_MAX_PROMPT_TOKENS",
        "COPILOT_PROVIDER_MODEL_ID",
        "COPILOT_PROVIDER_TRANSPORT",
        "COPILOT_PROVIDER_TYPE",
        "COPILOT_PROVIDER_WIRE_API",
        "COPILOT_PROVIDER_WIRE_MODEL",
        "COPILOT_MODEL",
        "COPILOT_OFFLINE",
        "COPILOT_HOME",
        "COPILOT_GH_HOST",
        "GH_HOST",
    )
    grants: ClassVar = Grants(
        options=frozenset({"--add-dir", "--additional-mcp-config", "--plugin-dir", "--mode"}),
        flags=frozenset(
            {"--allow-all-tools", "--allow-all-paths", "--allow-all-urls", "--allow-all", "--yolo", "--autopilot"}
            | {"--assisted-approval", "--trust-folder", "--fleet"}
        ),
        lists=frozenset({"--allow-tool", "--allow-url", "--available-tools"}),
    )

    def _argv(self, task: Task) -> Iterable[str]:
        # Without -C, a resumed conversation continues in the folder where it began.
        argv = ["-C", str(task.worktree), "--output-format", "json", "--no-ask-user", "--no-color"]
        argv += ["--no-remote-export", "--disable-client-telemetry", "--disable-builtin-mcps", "--disallow-temp-dir"]
        argv.append(f"--secret-env-vars={','.join((*TOKENS, *KEYS))}")
        if self.model is not None:
            argv.append(f"--model={self.model}")
        if task.session is not None:
            argv.append(f"--resume={copy_conversation(task.session.id, task) if task.fork else task.session.id}")
        return (*argv, *_permissions(task), *self._granted(task))

    def _files(self, task: Task) -> Mapping[str, str]:
        is_needed = not task.read_only and not task.permissions.everything
        return plugin(task.permissions) if is_needed else {}


def _permissions(task: Task) -> list[str]:
    if task.read_only:
        return [f"--available-tools={','.join(FILE_TOOLS)}", f"--allow-tool=write({task.worktree}/{OUTPUT_FILES})"]
    tools = [f"--available-tools={','.join((*FILE_TOOLS, *SHELL_TOOLS))}", "--allow-tool=write"]
    own = () if task.folder is None or task.permissions.everything else (f"--plugin-dir={task.folder}",)
    return [*tools, *own, *(f"--allow-tool={rule}" for rule in shell_rules(task.permissions))]


def copy_conversation(session_id: str, task: Task) -> str:
    """Copy a conversation for an attempt and return the id of the copy, which is the same for the same attempt.

    The original does not change. If it cannot be found or copied, nothing is raised: the CLI reports the copy as
    missing.
    """
    attempt = f"{session_id} {task.step} {task.item} {task.attempt} {task.worktree}"
    new_id = str(uuid.uuid5(uuid.NAMESPACE_OID, attempt))
    if _ID.fullmatch(session_id) is not None:
        with contextlib.suppress(OSError):
            _copy(_states() / session_id / _EVENTS, _states() / new_id / _EVENTS, new_id)
    return new_id


def _states() -> Path:
    return Path(os.environ.get("COPILOT_HOME") or Path.home() / ".copilot").expanduser() / "session-state"


def _copy(source: Path, target: Path, new_id: str) -> None:
    """Copy the events, with the new id in the first one."""
    with source.open("rb") as old:
        first = ndjson.parse_object(old.readline())
        if first is None:
            return
        data = {**ndjson.section(first, "data"), "sessionId": new_id}
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with replacing(target) as new:
            new.write(json.dumps({**first, "data": data}).encode() + b"\n")
            shutil.copyfileobj(old, new)
