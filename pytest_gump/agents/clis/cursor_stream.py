"""Reads the `stream-json` output of Cursor's CLI as documented on 2026-11-22; no real stream was recorded.

* A turn is a new `model_call_id`; without one, the first text or tool call after a tool's result.
* No usage is documented. Builds of 2026 are said to add one to the result, with names like `inputTokens`; it is read if
  it is there. The cost is always unknown.
* On failure there may be no result, but a line of plain text on stdout and the reason on stderr.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.base import Text, ToolCall, ToolResult
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.json_reader import NO_EVENTS, ToolNames
from pytest_gump.agents.streams.result_reader import ResultReader
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers

TOOLS: Final = ToolNames(writing=frozenset({"write", "edit", "delete"}), commands=frozenset({"shell"}), paths=("path",))


class CursorReader(ResultReader):
    CLI: ClassVar = "cursor"
    NOISE: ClassVar = re.compile(r"\{")  # some builds print every event on stderr as well
    QUOTA: ClassVar = re.compile(
        r"usage limit|rate.?limit|too many requests|\b429\b|quota|out of credits|\boverloaded\b", re.IGNORECASE
    )

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._answer: str | None = None
        """Id of the current answer; None between a tool's result and the next answer."""
        self._plain = ""
        """The last line that is not JSON."""

    def _handlers(self) -> Handlers:
        return {
            "assistant": self._read_assistant,
            "tool_call": self._read_tool,
            "system": self._read_system,
            "result": self._read_result,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _stray(self, line: bytes) -> Iterable[Event]:
        self._plain = ndjson.first_line(line.decode("utf-8", "replace")) or self._plain
        return super()._stray(line)

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        events = list(self._answers(record))
        for block in ndjson.sections(ndjson.section(record, "message"), "content"):
            if block.get("type") == "text":
                self._message = ndjson.text(block, "text") or ""
                events.append(Text(self._message))
        return events

    def _answers(self, record: ndjson.JsonObject) -> Iterable[Event]:
        answer = ndjson.text(record, "model_call_id") or self._answer or f"unnamed-{self._turns}"
        if answer == self._answer:
            return NO_EVENTS
        self._answer = answer
        return (self._turn(),)

    def _read_tool(self, record: ndjson.JsonObject) -> Iterable[Event]:
        call = ndjson.section(record, "tool_call")
        name = next((key for key in call if isinstance(call[key], dict)), "?")
        body = ndjson.section(call, name)
        if record.get("subtype") == "started":
            self._tool_calls += 1
            return [*self._answers(record), _tool_call(name, body)]
        if record.get("subtype") != "completed":
            return NO_EVENTS
        if ndjson.text(record, "model_call_id") is None:
            self._answer = None
        result = ndjson.section(body, "result")
        if "rejected" in result:
            self._refusals.add(name.removesuffix("ToolCall"), is_command=name == "shellToolCall")
        return (ToolResult(is_error="success" not in result),)

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

    def _last_words(self, stderr: str) -> str:
        return super()._last_words(stderr) or self._plain


def _tool_call(name: str, body: ndjson.JsonObject) -> ToolCall:
    arguments = ndjson.section(body, "args")
    if name == "function":
        tool = ndjson.text(body, "name") or name
        arguments = ndjson.parse_object((ndjson.text(body, "arguments") or "").encode()) or {}
    else:
        tool = name.removesuffix("ToolCall")
    return TOOLS.call(tool, arguments)
