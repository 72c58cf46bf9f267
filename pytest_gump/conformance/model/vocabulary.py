"""The tools with which each CLI performs the actions of a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.conformance.model.request import Call, Tool
from pytest_gump.conformance.model.script import Action, Shell, Write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ToolNames:
    write: str
    """The tool that writes a file."""
    path: str
    """The argument for the path; empty for a tool that takes a patch as text."""
    shell: str
    command: str
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other arguments of the shell."""
    overwrites: bool = True
    """False if a patch can add a file only where there is none."""


VOCABULARY: Final[Mapping[str, ToolNames]] = {
    "claude": ToolNames("Write", "file_path", "Bash", "command"),
    "codex": ToolNames("apply_patch", "", "exec_command", "cmd", {"yield_time_ms": 30_000}),
    "gemini": ToolNames("write_file", "file_path", "run_shell_command", "command"),
    "qwen": ToolNames("write_file", "file_path", "run_shell_command", "command"),
    "opencode": ToolNames("write", "filePath", "bash", "command"),
    "copilot": ToolNames("apply_patch", "", "bash", "command", overwrites=False),
}

_FILLING: Final[Mapping[str, Any]] = {"boolean": False, "number": 1, "integer": 1, "array": [], "object": {}}


def calls(cli: str, actions: Sequence[Action], tools: Mapping[str, Tool], cwd: Path, number: int) -> list[Call]:
    """Return the tool calls of an answer. A tool that is not offered is called anyway, as a model may do."""
    return [_call(VOCABULARY[cli], action, tools, cwd, f"call_{number}_{n}") for n, action in enumerate(actions)]


def _call(names: ToolNames, action: Action, tools: Mapping[str, Tool], cwd: Path, key: str) -> Call:
    if isinstance(action, Shell):
        tool = tools.get(names.shell, Tool(names.shell))
        return Call(key, names.shell, _filled(tool, {names.command: action.command, **names.more}))
    if not names.path:
        replaced = not names.overwrites and (cwd / action.path).exists()
        return Call(key, names.write, patch(action, replaced=replaced), kind="custom")
    tool = tools.get(names.write, Tool(names.write))
    arguments = {names.path: str(cwd / action.path), "content": action.content}
    return Call(key, names.write, _filled(tool, arguments))


def patch(action: Write, *, replaced: bool = False) -> str:
    lines = "".join(f"+{line}\n" for line in action.content.splitlines())
    deleted = f"*** Delete File: {action.path}\n" if replaced else ""
    return f"*** Begin Patch\n{deleted}*** Add File: {action.path}\n{lines}*** End Patch"


def _filled(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments, with values for all other arguments that the tool requires."""
    properties = tool.schema.get("properties") or {}
    for name in tool.schema.get("required") or ():
        if name not in arguments:
            kind = str((properties.get(name) or {}).get("type", "string")).lower()
            arguments[name] = _FILLING.get(kind, f"scripted {name}")
    return arguments
