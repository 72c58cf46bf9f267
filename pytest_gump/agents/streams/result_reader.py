"""Reader for `stream-json`, the format of Claude Code and similar CLIs: messages of content blocks, then a `result`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.base import Event, Text, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.conversation_reader import ConversationReader
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure
from pytest_gump.agents.streams.refusals import called

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

    from pytest_gump.agents.base import Task
    from pytest_gump.agents.streams.json_reader import Handlers, ToolNames


QUOTA_STATUS: Final = (429, 503, 529)
"""HTTP status codes: 429 too many requests; 503 and 529 overloaded."""


class ResultReader(ConversationReader):
    """A run succeeds if its last result has the subtype `success` and no `is_error`. Neither is reliable alone."""

    TOOLS: ClassVar[ToolNames]
    QUOTA: ClassVar[re.Pattern[str]]
    """Searched only in the result of a failed run, because an agent may write such words about its work."""

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._result: ndjson.JsonObject | None = None
        self._denied: set[str] = set()
        """Ids of the refused calls."""

    def _handlers(self) -> Handlers:
        return {
            "assistant": self._read_assistant,
            "user": self._read_user,
            "system": self._read_system,
            "result": self._read_result,
        }

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        raise NotImplementedError

    def _read_block(self, block: ndjson.JsonObject, *, main: bool) -> Iterable[Event]:
        kind = block.get("type")
        if kind == "text":
            text = ndjson.text(block, "text") or ""
            if main:
                self._message = text
            self._conversation.add_output(len(text))
            return (Text(text),)
        if kind == "tool_use":
            self._tool_calls += 1
            self._conversation.add_output(characters_of(ndjson.section(block, "input")))
            return (self.TOOLS.call(ndjson.text(block, "name") or "?", ndjson.section(block, "input")),)
        return NO_EVENTS

    def _read_user(self, record: ndjson.JsonObject) -> Iterable[Event]:
        blocks = ndjson.sections(ndjson.section(record, "message"), "content")
        results = [block for block in blocks if block.get("type") == "tool_result"]
        for result in results:
            self._conversation.add_tool_output(characters_of(result.get("content")))
        return [ToolResult(is_error=result.get("is_error") is True) for result in results]

    def _read_system(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if record.get("subtype") != "init":
            return NO_EVENTS
        return self._start(ndjson.text(record, "session_id"), ndjson.text(record, "model"))

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._result = record
        for denied in ndjson.sections(record, "permission_denials"):
            self._read_denial(denied)
        return (UsageSeen(self._usage()),)

    def _read_denial(self, denied: ndjson.JsonObject) -> None:
        """Count a refused call once; several results may list it."""
        call_id = ndjson.text(denied, "tool_use_id")
        if call_id in self._denied:
            return
        if call_id is not None:
            self._denied.add(call_id)
        tool, wanted = ndjson.text(denied, "tool_name") or "?", ndjson.section(denied, "tool_input")
        texts = (ndjson.text(wanted, key) for key in ("command", "file_path", "notebook_path", "path", "url"))
        self._refusals.add(called(tool, next(filter(None, texts), None)), is_command=tool in self.TOOLS.commands)

    def _final_message(self) -> str:
        return ndjson.text(self._result or {}, "result") or self._message

    def _unfinished(self) -> str | None:
        return "without a result" if self._result is None else None

    def _failure(self) -> CliFailure | None:
        result = self._result
        if result is None or (result.get("is_error") is False and result.get("subtype") == "success"):
            return None
        text = self._error_text(result)
        reason = ndjson.first_line(text) or f"the result is an error: {ndjson.text(result, 'subtype') or 'unknown'}"
        is_quota = result.get("api_error_status") in QUOTA_STATUS or self.QUOTA.search(reason) is not None
        return CliFailure(reason, quota=is_quota, message=text)

    def _error_text(self, result: ndjson.JsonObject) -> str:
        return ndjson.text(result, "result") or ""
