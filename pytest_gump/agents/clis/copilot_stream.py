"""Reads the JSON output of GitHub Copilot CLI (1.0.102, checked against recorded streams).

* The events have no tokens. Spans of OpenTelemetry, which the CLI writes to the same pipe, have those of each answer.
  `gen_ai.usage.input_tokens` includes cached tokens, `output_tokens` includes reasoning. A span may come before or
  after the message of its answer, and after the result.
* Both are written to the pipe independently. If a line is longer than the pipe accepts at once, a span may be in its
  middle: then a line ends with the span, and the next one has the rest. Spans are short and always whole.
* The id of the conversation is only in spans and in the result. In a resumed run, it is the same, and spans have only
  the tokens of this run.
* A failed run has a `session.error` and a result with an exit code. Some failures at the start are only on stderr.
  After TERM, there is an `abort`, but the result has exit code 0, and so has the process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Note, Text, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.conversation_reader import ConversationReader
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure, ToolNames
from pytest_gump.agents.streams.meter import Meter
from pytest_gump.agents.streams.refusals import called
from pytest_gump.agents.streams.result_reader import QUOTA_STATUS
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers

TOOLS: Final = ToolNames(writing=frozenset({"create", "edit"}), commands=frozenset({"bash"}), paths=("path",))
PATCH: Final = "apply_patch"

_PATCHED: Final = re.compile(r"^\*\*\* (?:Add File|Update File|Delete File|Move to): (.+)$", re.MULTILINE)
_TELEMETRY: Final = re.compile(rb'\{"type":"(?:span","traceId|metric","name)":"')
"""Start of a line that the CLI writes independently of its events. Within a string of an event, quotes are escaped."""
_LIMITS: Final = frozenset({"rate_limit", "quota"})


class CopilotReader(ConversationReader):
    CLI: ClassVar = "copilot"
    NOISE: ClassVar = re.compile(r"Package extraction took ")
    LOST_SESSION: ClassVar = ("No session, task, or name matched",)
    QUOTA: ClassVar = re.compile(r"\boverloaded\b|too many requests|rate.?limit|quota", re.IGNORECASE)

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._torn = b""
        """The start of an event that a span interrupts."""
        self._awaited = False
        """True from the start of a turn to the first sign of its answer."""
        self._running: dict[str, ToolCall] = {}
        """Calls without a result, by id."""
        self._meter = Meter()
        self._error: ndjson.JsonObject = {}
        self._is_aborted = False
        self._result: ndjson.JsonObject | None = None

    def feed(self, line: bytes) -> Iterable[Event]:
        found = _TELEMETRY.search(line)
        if found is None:
            torn, self._torn = self._torn, b""
            return super().feed(torn + line)
        self._torn += line[: found.start()]
        return super().feed(line[found.start() :])

    def _handlers(self) -> Handlers:
        return {
            "span": self._read_span,
            "session.skills_loaded": lambda _: self._start(None),
            "session.tools_updated": self._read_model,
            "assistant.turn_start": self._read_turn,
            "assistant.message_start": self._read_answer,
            "assistant.message": self._read_message,
            "assistant.turn_retry": self._read_retry,
            "tool.execution_start": self._read_call,
            "tool.execution_complete": self._read_tool_result,
            "session.warning": self._read_warning,
            "session.error": self._read_error,
            "abort": self._read_abort,
            "result": self._read_result,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _read_model(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._model = ndjson.text(_data(record), "model") or self._model
        self._conversation.model = prices.priced_as(self._model, self.CLI)
        return self._start(None)

    def _read_turn(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._awaited = self._awaited or _is_main(record)
        return NO_EVENTS

    def _read_answer(self, record: ndjson.JsonObject) -> Iterable[Event]:
        """Count an answer. If the CLI repeats a request whose answer was cut off, it is the same one."""
        if not self._awaited or not _is_main(record):
            return NO_EVENTS
        self._awaited = False
        return (self._turn(),)

    def _read_message(self, record: ndjson.JsonObject) -> Iterable[Event]:
        events = list(self._read_answer(record))
        data = _data(record)
        for request in ndjson.sections(data, "toolRequests"):
            self._conversation.add_output(characters_of(request.get("arguments")))
        text = ndjson.text(data, "content") or ""
        self._conversation.add_output(len(text))
        if text and _is_main(record):
            self._message = text
            events.append(Text(text))
        if self._is_behind:
            events.append(UsageSeen(self._usage()))
        return events

    def _read_retry(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._retries += 1
        reason = ndjson.text(_data(record), "reason")
        return (Note(f"API retry {self._retries}: {reason}" if reason else f"API retry {self._retries}"),)

    def _read_warning(self, record: ndjson.JsonObject) -> Iterable[Event]:
        return self._note(ndjson.first_line(ndjson.text(_data(record), "message") or "unknown warning"))

    def _read_call(self, record: ndjson.JsonObject) -> Iterable[Event]:
        data = _data(record)
        calls = _calls(data)
        self._tool_calls += 1
        self._running[ndjson.text(data, "toolCallId") or ""] = calls[0]
        return calls

    def _read_tool_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        data = _data(record)
        call = self._running.pop(ndjson.text(data, "toolCallId") or "", None)
        if call is not None and ndjson.text(ndjson.section(data, "error"), "code") == "denied":
            self._refusals.add(called(call.tool, call.command or call.path), is_command=call.command is not None)
        self._conversation.add_tool_output(len(ndjson.text(ndjson.section(data, "result"), "content") or ""))
        failed = ndjson.count(ndjson.section(data, "shellExecution"), "exitCode") != 0
        return (ToolResult(is_error=data.get("success") is not True or failed),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _read_span(self, record: ndjson.JsonObject) -> Iterable[Event]:
        attributes = ndjson.section(record, "attributes")
        self._session_id = ndjson.text(attributes, "gen_ai.conversation.id") or self._session_id
        if attributes.get("gen_ai.operation.name") != "chat" or "error.type" in attributes:
            return NO_EVENTS
        tokens = _tokens(attributes)
        self._record_context(tokens)
        self._is_doubted = self._is_doubted or not tokens.suffice(1)
        model = ndjson.text(attributes, "gen_ai.request.model") or self._model
        self._meter.add(tokens, self._price(model, tokens))
        return (UsageSeen(self._usage()),)

    @property
    def _is_behind(self) -> bool:
        """True if the spans of earlier answers have not arrived, for example because the pipe cannot be reopened."""
        return self._turns > self._meter.answers + 1

    def _usage(self) -> Usage:
        if self._is_doubted or self._is_behind:
            return self._conversation.usage(*self._counts)
        return Usage.estimated(self._meter.tokens, self._meter.cost_usd, *self._counts)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._error = _data(record)
        return NO_EVENTS

    def _read_abort(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._is_aborted = True
        reason = ndjson.text(_data(record), "reason") or "no reason given"
        self._error = {"message": f"the CLI was interrupted: {reason}"}
        return NO_EVENTS

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "sessionId") or self._session_id
        self._result = record
        return (UsageSeen(self._usage()),)

    def _conclude(self, stderr: str) -> None:
        super()._conclude(stderr)
        self._is_doubted = self._is_doubted or self._meter.answers < self._turns

    def _unfinished(self) -> str | None:
        return "without a result" if self._result is None else None

    def _failure(self) -> CliFailure | None:
        if self._result is None or (self._result.get("exitCode") == 0 and not self._is_aborted):
            return None
        message = ndjson.text(self._error, "message") or ""
        reason = " ".join(message.split())[:300] or f"the result has exit code {self._result.get('exitCode')}"
        is_quota = (
            self._error.get("errorType") in _LIMITS
            or self._error.get("statusCode") in QUOTA_STATUS
            or self.QUOTA.search(message) is not None
        )
        return CliFailure(reason, quota=is_quota, message=message)

    def _last_words(self, stderr: str) -> str:
        """Return the first line: the CLI puts advice after the error."""
        return ndjson.first_line("\n".join(self._lines(stderr)))


def _data(record: ndjson.JsonObject) -> ndjson.JsonObject:
    return ndjson.section(record, "data")


def _is_main(record: ndjson.JsonObject) -> bool:
    """True for an event of the main agent; those of subagents have an id."""
    return record.get("agentId") is None


def _calls(data: ndjson.JsonObject) -> list[ToolCall]:
    """Return a call for each file of a patch, and one for any other tool."""
    tool = ndjson.text(data, "toolName") or "?"
    if tool == PATCH:
        paths = _PATCHED.findall(ndjson.text(data, "arguments") or "")
        return [ToolCall(tool, path=path.strip()) for path in paths] or [ToolCall(tool)]
    return [TOOLS.call(tool, ndjson.section(data, "arguments"))]


def _tokens(attributes: ndjson.JsonObject) -> Tokens:
    def counted(name: str) -> int:
        return ndjson.count(attributes, f"gen_ai.usage.{name}")

    read, written = counted("input_tokens"), counted("output_tokens")
    cached = min(read, counted("cache_read.input_tokens"))
    stored = min(read - cached, counted("cache_write.input_tokens"))
    reasoning = min(written, counted("reasoning.output_tokens"))
    return Tokens(read - cached - stored, cached, stored, written - reasoning, reasoning)
