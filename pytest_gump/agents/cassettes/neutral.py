"""A stream of our own, for cassettes written by hand and for test agents: one event a line, in the words of `base`.

    {"type": "started", "session_id": "s1", "model": "claude-haiku-4-5"}
    {"type": "turn"}
    {"type": "text", "text": "I write the test first."}
    {"type": "tool_call", "tool": "Write", "path": "tests/test_a.py"}      or "command": "pytest"
    {"type": "tool_result", "is_error": false}
    {"type": "usage", "tokens": {"input": 900, "output": 120}, "cost_usd": 0.06}
    {"type": "note", "text": "API retry 1 of 10"}
    {"type": "result", "outcome": "ok", "message": "Done.", "usage": {...}}

Usage is the total so far. Without `cost_usd` it is estimated from the model. The last result counts; without one the
attempt is an `agent_error`. One of the outcome `quota` may say `resets_at`, in seconds since the epoch. `turns` in a
usage stands in for turn events; `context_tokens` there is the most that one answer of the model had before it.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Literal

from pytest_gump.agents import prices
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
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.resets import epoch, stated_reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_gump.agents.base import Task

CLI = "replay"

Outcome = Literal["ok", "agent_error", "quota"]
_OUTCOMES: Mapping[str, Outcome] = {"ok": "ok", "agent_error": "agent_error", "quota": "quota"}
_COUNTERS = tuple(field.name for field in dataclasses.fields(Tokens))


class NeutralReader:
    """Reads the neutral stream; `cli` is the family that its sessions belong to."""

    def __init__(self, task: Task, *, cli: str = CLI) -> None:
        self._task = task
        self._cli = cli
        self._session: str | None = None
        self._model: str | None = None
        self._message = ""
        self._turns = 0
        self._tool_calls = 0
        self._usage = Usage()
        self._result: ndjson.JsonObject | None = None
        self._notes = ndjson.Notes()
        self._kinds: Mapping[str, Callable[[ndjson.JsonObject], Event | None]] = {
            "started": self._read_start,
            "turn": self._read_turn,
            "text": self._read_text,
            "tool_call": self._read_call,
            "tool_result": lambda record: ToolResult(is_error=record.get("is_error") is True),
            "usage": self._read_usage,
            "note": self._read_note,
            "result": self._read_result,
        }

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return ()
        record = ndjson.parse_object(line)
        if record is None:
            note = "a line of the stream is not a JSON object"
            return (Note(note),) if self._notes.add(note) else ()
        read = self._kinds.get(ndjson.text(record, "type") or "")
        event = read(record) if read is not None else None
        return () if event is None else (event,)

    @property
    def ended(self) -> bool:
        """True once the result has arrived."""
        return self._result is not None

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        return Ending(
            outcome=outcome,
            reason=reason,
            message=self._message,
            usage=dataclasses.replace(
                self._usage, turns=max(self._turns, self._usage.turns), tool_calls=self._tool_calls
            ),
            session=self._session_ref(),
            model=self._model,
            notes=self._notes.taken(),
            resets_at=self._resets_at() if outcome == "quota" else None,
        )

    def _resets_at(self) -> float | None:
        result = self._result or {}
        now = time.time()
        return epoch(ndjson.number(result, "resets_at"), now) or stated_reset(ndjson.text(result, "reason") or "", now)

    def _judge(self, exit_code: int | None, stderr: str, *, stopped: bool) -> tuple[Outcome, str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        if self._result is None:
            return "agent_error", _with_tail(f"no result, {ndjson.describe_exit(exit_code)}", stderr)
        outcome = _OUTCOMES.get(ndjson.text(self._result, "outcome") or "ok", "agent_error")
        reason = ndjson.first_line(ndjson.text(self._result, "reason") or "")
        if outcome != "ok":
            return outcome, reason or "the agent reports a failure"
        if exit_code != 0:
            return "agent_error", _with_tail(ndjson.describe_exit(exit_code), stderr)
        return "ok", ""

    def _session_ref(self) -> SessionRef | None:
        if self._session is None:
            return None
        return SessionRef(self._session, self._cli, str(self._task.worktree))

    def _read_start(self, record: ndjson.JsonObject) -> Event:
        self._session = ndjson.text(record, "session_id") or self._session
        self._model = ndjson.text(record, "model") or self._model
        return Started(self._session, self._model)

    def _read_turn(self, _record: ndjson.JsonObject) -> Event:
        self._turns += 1
        return Turn(self._turns)

    def _read_text(self, record: ndjson.JsonObject) -> Event | None:
        words = ndjson.text(record, "text")
        if words is None:
            return None
        self._message = words
        return Text(words)

    def _read_call(self, record: ndjson.JsonObject) -> Event:
        self._tool_calls += 1
        return ToolCall(
            ndjson.text(record, "tool") or "?", path=ndjson.text(record, "path"), command=ndjson.text(record, "command")
        )

    def _read_usage(self, record: ndjson.JsonObject) -> Event:
        counters = ndjson.section(record, "tokens")
        tokens = Tokens(*(ndjson.count(counters, name) for name in _COUNTERS))
        cost_usd = ndjson.number(record, "cost_usd")
        turns, before = max(self._turns, ndjson.count(record, "turns")), self._usage.context_tokens
        if cost_usd is not None:
            self._usage = Usage(tokens, cost_usd, "reported", turns, self._tool_calls)
        else:
            self._usage = prices.estimated_usage(self._model, tokens, turns=turns, tool_calls=self._tool_calls)
        context_tokens = max(before, ndjson.count(record, "context_tokens"))
        self._usage = dataclasses.replace(self._usage, context_tokens=context_tokens)
        return UsageSeen(self._usage)

    def _read_note(self, record: ndjson.JsonObject) -> Event | None:
        note = ndjson.first_line(ndjson.text(record, "text") or "")
        return Note(note) if note and self._notes.add(note) else None

    def _read_result(self, record: ndjson.JsonObject) -> Event | None:
        self._result = record
        message = ndjson.text(record, "message")
        self._message = self._message if message is None else message
        usage = ndjson.section(record, "usage")
        return self._read_usage(usage) if usage else None


def _with_tail(reason: str, stderr: str) -> str:
    tail = ndjson.last_line(stderr)
    return f"{reason}: {tail}" if tail else reason


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
    """Events of a whole attempt: a turn for each write and command, then the final answer.

    `turns` below or above that number leaves calls in shared turns, or adds turns without a call.
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
