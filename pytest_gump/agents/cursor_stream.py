"""Reads the `stream-json` output of Cursor's CLI, as it was documented on 2026-11-22; no real stream was recorded.

* A turn is a new `model_call_id`; where there is none, the first words or tool call after a tool's result.
* No usage is documented. Builds of 2026 are said to add one to the result, in names like `inputTokens`: it is read if
  it is there. What it costs is unknown in any case.
* On failure there may be no result, but a line of plain text on stdout and the reason on stderr.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.agents import ndjson
from pytest_gump.agents.base import (
    Ending,
    Event,
    Note,
    SessionRef,
    Started,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    Usage,
    UsageSeen,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Task

CLI: Final = "cursor"

WRITING_TOOLS: Final = frozenset({"write", "edit", "delete"})

# Only looked for in the result of a failed run: an agent may write such words about its work.
_QUOTA = re.compile(r"usage limit|rate.?limit|too many requests|\b429\b|quota|out of credits", re.IGNORECASE)

_NO_EVENTS: Final[tuple[Event, ...]] = ()


class CursorReader:
    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._model = model
        self._session_id: str | None = None
        self._started = False
        self._answer: str | None = None
        """The answer that is being given; None between a tool's result and the next answer."""
        self._turns = 0
        self._tool_calls = 0
        self._message = ""
        self._plain = ""
        """The last line that was no JSON."""
        self._result: ndjson.JsonObject | None = None
        self._notes = ndjson.Notes()

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return _NO_EVENTS
        record = ndjson.parse_object(line)
        if record is None:
            self._plain = ndjson.first_line(line.decode("utf-8", "replace")) or self._plain
            note = "a line of the stream is not a JSON object"
            return (Note(note),) if self._notes.add(note) else _NO_EVENTS
        kind = record.get("type")
        if kind == "assistant":
            return self._read_assistant(record)
        if kind == "tool_call":
            return self._read_tool(record)
        if kind == "system" and record.get("subtype") == "init":
            return self._read_start(record)
        if kind == "result":
            return self._read_result(record)
        return _NO_EVENTS

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._model = ndjson.text(record, "model") or self._model
        again, self._started = self._started, True
        return _NO_EVENTS if again else (Started(self._session_id, self._model),)

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        events = list(self._turn(record))
        for block in ndjson.sections(ndjson.section(record, "message"), "content"):
            if block.get("type") == "text":
                self._message = ndjson.text(block, "text") or ""
                events.append(Text(self._message))
        return events

    def _turn(self, record: ndjson.JsonObject) -> Iterable[Event]:
        answer = ndjson.text(record, "model_call_id") or self._answer or f"unnamed-{self._turns}"
        if answer == self._answer:
            return _NO_EVENTS
        self._answer = answer
        self._turns += 1
        return (Turn(self._turns),)

    def _read_tool(self, record: ndjson.JsonObject) -> Iterable[Event]:
        call = ndjson.section(record, "tool_call")
        name = next((key for key in call if isinstance(call[key], dict)), "?")
        body = ndjson.section(call, name)
        if record.get("subtype") == "started":
            self._tool_calls += 1
            return [*self._turn(record), _tool_call(name, body)]
        if record.get("subtype") != "completed":
            return _NO_EVENTS
        if ndjson.text(record, "model_call_id") is None:
            self._answer = None
        result = ndjson.section(body, "result")
        if "rejected" in result:
            self._notes.add(f"permission denied: {name.removesuffix('ToolCall')}")
        return (ToolResult(is_error="success" not in result),)

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._result = record
        return (UsageSeen(self._usage()),)

    def _usage(self) -> Usage:
        usage = ndjson.section(self._result or {}, "usage")
        tokens = Tokens(
            input=ndjson.count(usage, "inputTokens"),
            cache_read=ndjson.count(usage, "cacheReadTokens"),
            cache_write=ndjson.count(usage, "cacheWriteTokens"),
            output=ndjson.count(usage, "outputTokens"),
        )
        return Usage(tokens, turns=self._turns, tool_calls=self._tool_calls)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        session = None
        if self._started and self._session_id is not None:
            session = SessionRef(self._session_id, CLI, str(self._task.worktree))
        return Ending(
            outcome=outcome,
            reason=reason,
            message=ndjson.text(self._result or {}, "result") or self._message,
            usage=self._usage(),
            session=session,
            model=self._model,
            notes=self._notes.taken(),
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        # Some builds print every event on stderr as well.
        said = "\n".join(line for line in stderr.splitlines() if not line.lstrip().startswith("{"))
        tail = ndjson.last_line(said) or self._plain
        if self._result is None:
            reason = f"ended without a result, {ndjson.describe_exit(exit_code)}"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        if self._result.get("is_error") is not False or self._result.get("subtype") != "success":
            words = ndjson.first_line(ndjson.text(self._result, "result") or "")
            reason = words or f"the result is an error: {ndjson.text(self._result, 'subtype') or 'unknown'}"
            return ("quota" if _QUOTA.search(reason) else "agent_error"), reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after a result that says success"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""


def _tool_call(name: str, body: ndjson.JsonObject) -> ToolCall:
    arguments = ndjson.section(body, "args")
    if name == "function":
        tool = ndjson.text(body, "name") or name
        arguments = ndjson.parse_object((ndjson.text(body, "arguments") or "").encode()) or {}
    else:
        tool = name.removesuffix("ToolCall")
    if tool in WRITING_TOOLS:
        return ToolCall(tool, path=ndjson.text(arguments, "path"))
    return ToolCall(tool, command=ndjson.text(arguments, "command") if tool == "shell" else None)
