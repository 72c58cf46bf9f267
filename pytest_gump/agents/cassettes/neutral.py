"""The neutral stream, for cassettes written by hand and for test agents: one event of `base` per line.

    {"type": "started", "session_id": "s1", "model": "claude-haiku-4-5"}
    {"type": "turn"}
    {"type": "text", "text": "I write the test first."}
    {"type": "tool_call", "tool": "Write", "path": "tests/test_a.py"}      or "command": "pytest"
    {"type": "tool_result", "is_error": false}
    {"type": "usage", "tokens": {"input": 900, "output": 120}, "cost_usd": 0.06}
    {"type": "note", "text": "API retry 1 of 10"}
    {"type": "result", "outcome": "ok", "message": "Done.", "usage": {...}}

Usage is the total so far. Without `cost_usd`, the cost is estimated from the model. The last result counts; without a
result, the attempt is an `agent_error`. A result with the outcome `quota` may have `resets_at`, in seconds since the
epoch. In a usage, `turns` replaces turn events, and `context_tokens` is the largest context of an answer.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from pytest_gump.agents import prices
from pytest_gump.agents.base import SessionRef, Started, Text, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure, JsonReader
from pytest_gump.agents.streams.resets import epoch
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers, Outcome

CLI = "replay"

_COUNTERS = tuple(field.name for field in dataclasses.fields(Tokens))


class NeutralReader(JsonReader):
    """Reads the neutral stream; `cli` is the CLI that its conversations belong to."""

    def __init__(self, task: Task, *, cli: str = CLI) -> None:
        super().__init__(task)
        self._cli = cli
        self._seen = Usage()
        self._result: ndjson.JsonObject | None = None

    def _handlers(self) -> Handlers:
        return {
            "started": self._read_start,
            "turn": lambda _record: (self._turn(),),
            "text": self._read_text,
            "tool_call": self._read_call,
            "tool_result": lambda record: (ToolResult(is_error=record.get("is_error") is True),),
            "usage": self._read_usage,
            "note": self._read_note,
            "result": self._read_result,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._start(ndjson.text(record, "session_id"))
        self._model = ndjson.text(record, "model") or self._model
        return (Started(self._session_id, self._model),)

    def _read_text(self, record: ndjson.JsonObject) -> Iterable[Event]:
        text = ndjson.text(record, "text")
        if text is None:
            return NO_EVENTS
        self._message = text
        return (Text(text),)

    def _read_call(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._tool_calls += 1
        path, command = ndjson.text(record, "path"), ndjson.text(record, "command")
        return (ToolCall(ndjson.text(record, "tool") or "?", path=path, command=command),)

    def _read_usage(self, record: ndjson.JsonObject) -> Iterable[Event]:
        counters = ndjson.section(record, "tokens")
        tokens = Tokens(*(ndjson.count(counters, name) for name in _COUNTERS))
        cost_usd = ndjson.number(record, "cost_usd")
        self._context_tokens = max(self._context_tokens, ndjson.count(record, "context_tokens"))
        counts = max(self._turns, ndjson.count(record, "turns")), self._tool_calls, self._context_tokens
        if cost_usd is not None:
            self._seen = Usage(tokens, cost_usd, "reported", *counts)
        else:
            self._seen = Usage.estimated(tokens, prices.estimate(self._model, tokens), *counts)
        return (UsageSeen(self._seen),)

    def _read_note(self, record: ndjson.JsonObject) -> Iterable[Event]:
        note = ndjson.first_line(ndjson.text(record, "text") or "")
        return self._note(note) if note else NO_EVENTS

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._result = record
        message = ndjson.text(record, "message")
        self._message = self._message if message is None else message
        usage = ndjson.section(record, "usage")
        return self._read_usage(usage) if usage else NO_EVENTS

    # -- the end ---------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        return dataclasses.replace(self._seen, turns=max(self._turns, self._seen.turns), tool_calls=self._tool_calls)

    def _failure(self) -> CliFailure | None:
        result = self._result or {}
        outcome = ndjson.text(result, "outcome") or "ok"
        if outcome == "ok":
            return None
        message = ndjson.text(result, "reason") or ""
        reason = ndjson.first_line(message) or "the agent reports a failure"
        resets_at = epoch(ndjson.number(result, "resets_at"), time.time())
        return CliFailure(reason, quota=outcome == "quota", message=message, resets_at=resets_at)

    def _unfinished(self) -> str | None:
        return "without a result" if self._result is None else None

    def _session(self) -> SessionRef | None:
        if self._session_id is None:
            return None
        return SessionRef(self._session_id, self._cli, str(self._task.worktree))


def conversation(
    message: str = "Done.",
    *,
    model: str | None = None,
    session_id: str | None = None,
    writes: Sequence[str] = (),
    commands: Sequence[str] = (),
    turns: int | None = None,
    tokens: Tokens | None = None,
    cost_usd: float | None = None,
    outcome: Outcome = "ok",
    reason: str = "",
) -> list[dict[str, Any]]:
    """Return the events of an attempt: one turn for each write and command, then the final answer.

    With fewer `turns`, several calls share a turn; with more, there are turns without a call.
    """
    calls = [{"type": "tool_call", "tool": "Write", "path": path} for path in writes]
    calls += [{"type": "tool_call", "tool": "Bash", "command": command} for command in commands]
    total = len(calls) + 1 if turns is None else turns
    events: list[dict[str, Any]] = [{"type": "started", "session_id": session_id, "model": model}]
    for position in range(max(total, len(calls))):
        if position < total:
            events.append({"type": "turn"})
        if position < len(calls):
            events += [calls[position], {"type": "tool_result", "is_error": False}]
    events.append({"type": "text", "text": message})
    if tokens is not None or cost_usd is not None:
        events.append(usage_event(tokens or Tokens(), cost_usd=cost_usd))
    events.append({"type": "result", "outcome": outcome, "reason": reason, "message": message})
    return events


def usage_event(tokens: Tokens, *, cost_usd: float | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "usage", "tokens": dataclasses.asdict(tokens)}
    return event if cost_usd is None else {**event, "cost_usd": cost_usd}
