"""Reads the `stream-json` output of Gemini CLI (0.61, checked against recorded streams).

* Answers of the model are not marked: one begins with a message or a tool call that comes first, or after the results
  of all tool calls before it. Text comes in pieces.
* The only usage is that of the final `result`: of this run, by model, side requests included, `input_tokens` with
  cached ones; thoughts are what `total_tokens` has beyond input and output. Before it, and without it, tokens are
  estimated from what was said.
* The result's `status` and the exit code have to agree; the exit code of an API error is its HTTP status modulo 256.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.agents import ndjson, prices
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
from pytest_gump.agents.claude_usage import characters_of
from pytest_gump.agents.estimate import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Task

CLI: Final = "gemini"

WRITING_TOOLS: Final = frozenset({"write_file", "replace", "edit"})

LIMITS: Final[Mapping[str, Literal["max_turns"]]] = {"FatalTurnLimitedError": "max_turns"}

# Only looked for in the failure that the CLI reports: an agent may write such words about its work.
_QUOTA: Final = re.compile(r"\b429\b|RESOURCE_EXHAUSTED|quota|rate limit", re.IGNORECASE)

_LOST_SESSION: Final = "Error resuming session:"

_NO_EVENTS: Final[tuple[Event, ...]] = ()


class GeminiReader:
    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._model = model
        self._talk = Conversation(model, task.prompt)
        self._session_id: str | None = None
        self._speaking = False
        """An answer has begun, and no result of a tool has come since."""
        self._running: set[str] = set()
        self._tool_calls = 0
        self._message: list[str] = []
        self._result: ndjson.JsonObject | None = None
        self._reported: Usage | None = None
        self._last_error = ""
        self._notes = ndjson.Notes()

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return _NO_EVENTS
        record = ndjson.parse_object(line)
        if record is None:
            return self._note("a line of the stream is not a JSON object")
        kind = record.get("type")
        if kind == "message":
            return self._read_message(record) if record.get("role") == "assistant" else _NO_EVENTS
        if kind == "tool_use":
            return self._read_tool(record)
        if kind == "tool_result":
            return self._read_tool_result(record)
        if kind == "init":
            return self._read_start(record)
        if kind == "result":
            return self._read_result(record)
        return self._read_error(record) if kind == "error" else _NO_EVENTS

    def _note(self, note: str) -> Iterable[Event]:
        return (Note(note),) if self._notes.add(note) else _NO_EVENTS

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        again, self._session_id = self._session_id, ndjson.text(record, "session_id") or self._session_id
        self._model = ndjson.text(record, "model") or self._model
        self._talk.model = self._model
        return (Started(self._session_id, self._model),) if again is None else _NO_EVENTS

    def _answer(self) -> list[Event]:
        """The event of a new answer, unless one goes on."""
        if self._speaking or self._running:
            self._speaking = True
            return []
        self._speaking = True
        self._message = []
        self._talk.answer()
        return [Turn(self._talk.answers)]

    def _read_message(self, record: ndjson.JsonObject) -> Iterable[Event]:
        words = ndjson.text(record, "content") or ""
        events = self._answer()
        self._message.append(words)
        self._talk.said(len(words))
        return [*events, Text(words), *self._seen()] if events else (Text(words),)

    def _read_tool(self, record: ndjson.JsonObject) -> Iterable[Event]:
        events = self._answer()
        self._running.add(ndjson.text(record, "tool_id") or "unnamed")
        self._tool_calls += 1
        arguments = ndjson.section(record, "parameters")
        self._talk.said(characters_of(arguments))
        tool = ndjson.text(record, "tool_name") or "?"
        return [*events, _tool_call(tool, arguments), *self._seen()]

    def _read_tool_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._running.discard(ndjson.text(record, "tool_id") or "unnamed")
        self._speaking = False
        self._talk.heard(len(ndjson.text(record, "output") or ""))
        failed = record.get("status") != "success"
        events: list[Event] = [ToolResult(is_error=failed)]
        if failed:
            why = ndjson.text(ndjson.section(record, "error"), "message") or ndjson.text(record, "output") or "unknown"
            events += self._note(f"tool refused or failed: {ndjson.first_line(why, limit=160)}")
        return events

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.first_line(ndjson.text(record, "message") or "unknown error")
        if record.get("severity") != "warning":
            self._last_error = message
        return self._note(message)

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._result = record
        stats = ndjson.section(record, "stats")
        self._reported = self._reported_usage(stats) if stats else None
        return (UsageSeen(self._usage()),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _seen(self) -> Iterable[Event]:
        """The estimate so far; after what the CLI reported there is nothing to add."""
        return (UsageSeen(self._usage()),) if self._reported is None else _NO_EVENTS

    def _usage(self) -> Usage:
        return self._reported or self._talk.usage(tool_calls=self._tool_calls)

    def _reported_usage(self, stats: ndjson.JsonObject) -> Usage:
        tokens = _tokens(stats)
        if tokens.total == 0 and self._talk.answers:
            # A run that ended in the middle of its first answer reports nothing of it.
            return self._talk.usage(tool_calls=self._tool_calls)
        answers = self._talk.answers
        models = ndjson.section(stats, "models")
        parts: list[tuple[str | None, Tokens]] = [(name, _tokens(ndjson.section(models, name))) for name in models]
        parts = parts or [(self._model, tokens)]
        costs = [prices.estimate_answers(name, part, answers) for name, part in parts if part.total]
        self._only_model(list(models))
        if None in costs or (not costs and prices.rates(self._model) is None):
            return Usage(tokens, None, "unknown", answers, self._tool_calls)
        return Usage(tokens, sum(cost or 0.0 for cost in costs), "estimated", answers, self._tool_calls)

    def _only_model(self, names: list[str]) -> None:
        """`auto` is no model: the one that did the work is named at the end, if it was one."""
        if len(names) == 1:
            self._model = ndjson.text({"name": names[0]}, "name")

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        result = self._result or {}
        error = ndjson.section(result, "error")
        limit = None if stopped else LIMITS.get(ndjson.text(error, "type") or "")
        retries = stderr.count("Retrying with backoff")
        if retries:
            self._notes.add(f"{retries} API retries" if retries > 1 else "1 API retry")
        return Ending(
            outcome=outcome,
            reason=reason,
            message="".join(self._message),
            usage=self._usage(),
            session=self._session(),
            model=self._model,
            notes=self._notes.taken(),
            limit=limit,
            lost_session=self._task.session is not None and self._session_id is None and _LOST_SESSION in reason,
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        if self._result is None:
            reason = f"ended without a result, {ndjson.describe_exit(exit_code)}"
            tail = self._last_error or _words(stderr)
            return "agent_error", f"{reason}: {tail}" if tail else reason
        if self._result.get("status") != "success":
            whole = ndjson.text(ndjson.section(self._result, "error"), "message") or ""
            reason = ndjson.first_line(whole) or f"the result is not a success: {self._result.get('status')!r}"[:300]
            return ("quota" if _QUOTA.search(whole) else "agent_error"), reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after a result that says success"
            tail = ndjson.last_line(stderr)
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""

    def _session(self) -> SessionRef | None:
        if self._session_id is None:
            return None
        return SessionRef(self._session_id, CLI, str(self._task.worktree))


def _tokens(stats: ndjson.JsonObject) -> Tokens:
    cached, read = ndjson.count(stats, "cached"), ndjson.count(stats, "input_tokens")
    output = ndjson.count(stats, "output_tokens")
    return Tokens(
        input=max(0, read - cached),
        cache_read=cached,
        output=output,
        reasoning=max(0, ndjson.count(stats, "total_tokens") - read - output),
    )


def _tool_call(tool: str, arguments: ndjson.JsonObject) -> ToolCall:
    if tool in WRITING_TOOLS:
        return ToolCall(tool, path=ndjson.text(arguments, "file_path"))
    return ToolCall(tool, command=ndjson.text(arguments, "command") if tool == "run_shell_command" else None)


_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m", re.ASCII)
_IDLE: Final = ("Warning:", "YOLO mode", "Ripgrep is not", "[STARTUP]", "(node:", "(Use `node")


def _words(stderr: str) -> str:
    """Why a run that printed no events ended: the first line that is not chatter."""
    lines = (_COLOUR.sub("", line).strip() for line in stderr.splitlines())
    return ndjson.first_line(next((line for line in lines if line and not line.startswith(_IDLE)), ""))
