"""Reads the `stream-json` output of Gemini CLI (0.61, checked against recorded streams).

* Answers of the model are not marked. An answer starts with the first message or tool call, and with the next one after
  the results of all earlier tool calls. Text comes in pieces.
* The final `result` has the only usage: of this run, by model, side requests included. `input_tokens` includes cached
  tokens; reasoning is the part of `total_tokens` beyond input and output. Before the result, or without it, tokens are
  estimated from the text.
* The result's `status` and the exit code must agree. The exit code of an API error is its HTTP status modulo 256.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Text, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.estimated_reader import UNNAMED, EstimatedReader
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure, ToolNames
from pytest_gump.agents.streams.refusals import called
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers, Limit

TOOLS: Final = ToolNames(
    writing=frozenset({"write_file", "replace", "edit"}),
    commands=frozenset({"run_shell_command"}),
    paths=("file_path",),
)

LIMITS: Final[Mapping[str, Limit]] = {"FatalTurnLimitedError": "max_turns"}

REFUSED: Final = ("policy_violation", "tool_not_registered")
"""Types of the errors of refused calls."""
_REFUSED: Final = re.compile(r"Path not in workspace|Access denied|Tool execution for .* requires user confirmation")

_RETRY: Final = re.compile(r"^Attempt \d+ failed with status (\d{3})\. Retrying", re.MULTILINE)
QUOTA_STATUS: Final = ("429", "503")

# Printed as a warning on the stream, and followed by a successful result.
HALTED: Final = "Loop detected"

# Searched only in the failure that the CLI reports, because an agent may write such words about its work.
_QUOTA: Final = re.compile(
    r"\b429\b|RESOURCE_EXHAUSTED|quota|rate limit|exhausted your capacity|\boverloaded\b|high demand", re.IGNORECASE
)


class GeminiReader(EstimatedReader):
    CLI: ClassVar = "gemini"
    LOST_SESSION: ClassVar = ("Error resuming session:", "Error importing session from file:")
    NOISE: ClassVar = re.compile(r"Warning:|YOLO mode|Ripgrep is not|\[STARTUP\]|\(node:|\(Use `node")

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._calls: dict[str, ToolCall] = {}
        """Calls that have not returned."""
        self._speaking = False
        """True if an answer has started and no tool result has arrived since."""
        self._pieces: list[str] = []
        self._result: ndjson.JsonObject | None = None
        self._reported: Usage | None = None
        self._halted: str | None = None
        """Why the CLI ended the run before the model did."""
        self._trouble = ""
        """Message of the last error event, warnings included."""

    def _handlers(self) -> Handlers:
        return {
            "message": self._read_message,
            "tool_use": self._read_tool,
            "tool_result": self._read_tool_result,
            "init": self._read_start,
            "result": self._read_result,
            "error": self._read_error,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        return self._start(ndjson.text(record, "session_id"), ndjson.text(record, "model"))

    def _answer(self) -> list[Event]:
        """Return the event of a new answer, unless the current answer continues."""
        continues, self._speaking = self._speaking or bool(self._running), True
        if continues:
            return []
        self._pieces = []
        return [self._turn()]

    def _read_message(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if record.get("role") != "assistant":
            return NO_EVENTS
        if not self._speaking:
            self._calls.clear()
            self._running.clear()  # the model has continued: a tool result was lost, or too long to read
        text = ndjson.text(record, "content") or ""
        events = self._answer()
        self._pieces.append(text)
        self._conversation.add_output(len(text))
        return [*events, Text(text), *self._seen()] if events else (Text(text),)

    def _read_tool(self, record: ndjson.JsonObject) -> Iterable[Event]:
        events = self._answer()
        tool_id = ndjson.text(record, "tool_id") or UNNAMED
        self._running.add(tool_id)
        self._tool_calls += 1
        arguments = ndjson.section(record, "parameters")
        self._conversation.add_output(characters_of(arguments))
        call = self._calls[tool_id] = TOOLS.call(ndjson.text(record, "tool_name") or "?", arguments)
        return [*events, call, *self._seen()]

    def _read_tool_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        tool_id = ndjson.text(record, "tool_id") or UNNAMED
        self._running.discard(tool_id)
        call = self._calls.pop(tool_id, None)
        self._speaking = False
        self._conversation.add_tool_output(len(ndjson.text(record, "output") or ""))
        failed = record.get("status") != "success"
        events: list[Event] = [ToolResult(is_error=failed)]
        if failed:
            error = ndjson.section(record, "error")
            why = ndjson.text(error, "message") or ndjson.text(record, "output") or "unknown"
            if error.get("type") not in REFUSED and _REFUSED.match(why) is None:
                events += self._note(f"tool failed: {ndjson.first_line(why, limit=160)}")
            elif call is None:
                self._refusals.add(why)
            else:
                what = called(call.tool, call.command or call.path)
                self._refusals.add(what, is_command=call.command is not None)
        return events

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._trouble = message = ndjson.first_line(ndjson.text(record, "message") or "unknown error")
        if record.get("severity") != "warning":
            self._last_error = message
        if message.startswith(HALTED):
            self._halted = message
        return self._note(message)

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._result = record
        stats = ndjson.section(record, "stats")
        self._reported = self._usage_of(stats) if stats else None
        self._has_reported = self._reported is not None
        return (UsageSeen(self._usage()),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _reported_usage(self) -> Usage | None:
        return self._reported

    def _usage_of(self, stats: ndjson.JsonObject) -> Usage:
        tokens = _tokens(stats)
        models = ndjson.section(stats, "models")
        parts: list[tuple[str | None, Tokens]] = [(name, _tokens(ndjson.section(models, name))) for name in models]
        parts = parts or [(self._model, tokens)]
        costs = [self._price(name, part, self._turns) for name, part in parts if part.total]
        self._only_model(list(models))
        is_known = None not in costs and (costs or prices.rates(prices.priced_as(self._model, self.CLI)) is not None)
        return Usage.estimated(tokens, sum(cost or 0.0 for cost in costs) if is_known else None, *self._counts)

    def _only_model(self, names: list[str]) -> None:
        """Set the model if the result names exactly one: `auto` is not the name of a model."""
        if len(names) == 1:
            self._model = ndjson.text({"name": names[0]}, "name")

    # -- the end ---------------------------------------------------------------------------------------------------

    def _failure(self) -> CliFailure | None:
        if self._result is None:
            return None
        if self._result.get("status") == "success":
            why = self._halted or ("" if self._turns else self._trouble)  # for example an empty stream
            return CliFailure(why) if why else None
        whole = ndjson.text(ndjson.section(self._result, "error"), "message") or ""
        reason = ndjson.first_line(whole) or f"the result is not a success: {self._result.get('status')!r}"[:300]
        if self._trouble and self._trouble not in reason:
            reason = f"{reason}: {self._trouble}"
        return CliFailure(reason, quota=_QUOTA.search(whole) is not None, message=whole)

    def _limit_waited_for(self, stderr: str) -> CliFailure | None:
        """Return the limit of the last retry on stderr, if there was no answer yet: an answer prints nothing there."""
        retries = _RETRY.findall(stderr)
        if not retries or self._turns or self._result is not None or retries[-1] not in QUOTA_STATUS:
            return None
        return CliFailure(f"waited for a usage limit: {retries[-1]} after {len(retries)} requests", quota=True)

    def _unfinished(self) -> str | None:
        return "without a result" if self._result is None else None

    def _last_words(self, stderr: str) -> str:
        """Return the last error event, or the first line of stderr: a stack trace may follow it."""
        return self._last_error or ndjson.first_line("\n".join(self._lines(stderr)))

    def _limit(self, _exit_code: int | None) -> Limit | None:
        return LIMITS.get(ndjson.text(ndjson.section(self._result or {}, "error"), "type") or "")

    def _final_message(self) -> str:
        return "".join(self._pieces)

    def _conclude(self, stderr: str) -> None:
        self._retries = stderr.count("Retrying with backoff")
        super()._conclude(stderr)


def _tokens(stats: ndjson.JsonObject) -> Tokens:
    cached, read = ndjson.count(stats, "cached"), ndjson.count(stats, "input_tokens")
    output = ndjson.count(stats, "output_tokens")
    return Tokens(
        input=max(0, read - cached),
        cache_read=cached,
        output=output,
        reasoning=max(0, ndjson.count(stats, "total_tokens") - read - output),
    )
