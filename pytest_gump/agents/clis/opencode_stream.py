"""Reads the events of `opencode run --format json` (1.18, checked against recorded streams).

* There is no start event, no result and no model name; the session id is in every event. A run succeeds if its last
  `step_finish` says `stop`, there was no `error`, and the exit code is 0.
* A step is an answer of the model. Its tokens and its cost come with `step_finish`: input without cached tokens, output
  without reasoning, both for this step only, also in resumed conversations.
* A model without a price in the CLI's list costs 0. This is treated as unknown, and the cost is estimated.
* A tool call is one event, when the call has ended. A refused call has written nothing and names no path.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.base import Note, Text, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson, resets
from pytest_gump.agents.streams.conversation_reader import ConversationReader
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure
from pytest_gump.agents.streams.meter import Meter
from pytest_gump.agents.streams.refusals import called
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers

WRITING_TOOLS: Final = frozenset({"write", "edit", "multiedit"})
PATCH_TOOLS: Final = frozenset({"patch", "apply_patch"})
_PATCHED = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", re.MULTILINE)

# Searched only in an error event, because an agent may write such words about its work.
_QUOTA = re.compile(
    r"too many requests|rate.?limit|quota|usage limit|credit balance|insufficient.?(?:balance|funds|credit)"
    r"|\boverloaded\b",
    re.IGNORECASE,
)
QUOTA_STATUS: Final = (402, 429, 503, 529)

_LOGGED = re.compile(r"^timestamp=\S+ level=ERROR .*message=\"stream error\".* error\.error=\"(.*)\"$", re.MULTILINE)
_REFUSED = re.compile(r"rejected permission|specified a rule which prevents", re.IGNORECASE)
_ASKED = re.compile(r"permission requested: (.*?)(?:; auto-rejecting)?$", re.MULTILINE)


class OpencodeReader(ConversationReader):
    CLI: ClassVar = "opencode"
    GOOD_END: ClassVar = "a complete answer"
    NOISE: ClassVar = re.compile(r"timestamp=\S+ level=")
    LOST_SESSION: ClassVar = ("Session not found",)

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._step: str | None = None
        """Id of the answer that has started and is not finished."""
        self._said: list[str] = []
        self._finished: str | None = None
        """Why the last answer ended."""
        self._error: ndjson.JsonObject | None = None
        self._meter = Meter()

    def _handlers(self) -> Handlers:
        return {
            "step_start": self._read_start,
            "text": self._read_text,
            "tool_use": self._read_tool,
            "step_finish": self._read_finish,
            "error": self._read_error,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _first(self, record: ndjson.JsonObject) -> Iterable[Event]:
        session_id = ndjson.text(record, "sessionID")
        return NO_EVENTS if session_id is None else self._start(session_id)

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        part = ndjson.section(record, "part")
        step = ndjson.text(part, "messageID") or ndjson.text(part, "id") or f"unnamed-{self._turns}"
        if step == self._step:
            return NO_EVENTS
        self._step, self._finished = step, None
        self._said.clear()
        return (self._turn(),)

    def _read_text(self, record: ndjson.JsonObject) -> Iterable[Event]:
        text = ndjson.text(ndjson.section(record, "part"), "text") or ""
        self._said.append(text)
        self._conversation.add_output(len(text))
        return (Text(text),)

    def _read_finish(self, record: ndjson.JsonObject) -> Iterable[Event]:
        part = ndjson.section(record, "part")
        if self._step is None:
            self._turn()
        self._step, self._finished = None, ndjson.text(part, "reason") or "unknown"
        tokens, cost_usd = _tokens(part), ndjson.number(part, "cost")
        self._record_context(tokens)
        if not cost_usd and not tokens.suffice(1):
            tokens = self._conversation.last_answer()
            self._is_doubted = True
        is_estimated = not cost_usd and tokens.total > 0
        cost_usd = self._price(self._model, tokens) if is_estimated else cost_usd
        self._meter.add(tokens, cost_usd, is_estimated=is_estimated)
        return (UsageSeen(self._usage()),)

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._error = ndjson.section(record, "error")
        return (Note(_error_text(self._error)),)

    def _read_tool(self, record: ndjson.JsonObject) -> Iterable[Event]:
        part = ndjson.section(record, "part")
        self._tool_calls += 1
        tool, state = ndjson.text(part, "tool") or "?", ndjson.section(part, "state")
        arguments = ndjson.section(state, "input")
        self._conversation.add_output(characters_of(arguments))
        self._conversation.add_tool_output(len(ndjson.text(state, "output") or ""))
        error = ndjson.text(state, "error") or ""
        failed = state.get("status") != "completed"
        if tool == "invalid":
            tool, failed = ndjson.text(arguments, "tool") or tool, True
            self._refusals.add(f"{tool}: not an available tool")
        command = ndjson.text(arguments, "command") if tool == "bash" else None
        if failed and _REFUSED.search(error):
            what = command or ndjson.text(arguments, "filePath") or ""
            self._refusals.add(called(tool, what), is_command=command is not None)
        paths = _paths(tool, arguments) if not failed else []
        exit_code = ndjson.section(state, "metadata").get("exit")
        calls = [ToolCall(tool, path=path) for path in paths] or [ToolCall(tool, command=command)]
        return [*calls, ToolResult(is_error=failed or exit_code not in (None, 0))]

    # -- usage -----------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        return Usage(self._meter.tokens, self._meter.cost_usd, self._meter.provenance, *self._counts)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self, stderr: str) -> None:
        for asked in () if self._refusals else _ASKED.findall(stderr):
            self._refusals.add(asked)
        if self._step is not None:
            self._notes.add("the last answer was cut off: its tokens are not counted")

    def _final_message(self) -> str:
        return "\n".join(self._said)

    def _failure(self) -> CliFailure | None:
        if self._error is None:
            return None
        data, text = ndjson.section(self._error, "data"), _error_text(self._error)
        is_quota = data.get("statusCode") in QUOTA_STATUS or _QUOTA.search(text) is not None
        message = f"{ndjson.text(data, 'message') or text}\n{ndjson.text(data, 'responseBody') or ''}"
        header = ndjson.text(ndjson.section(data, "responseHeaders"), "retry-after") or ""
        return CliFailure(text, quota=is_quota, message=message, resets_at=resets.retry_after(header, time.time()))

    def _limit_waited_for(self, stderr: str) -> CliFailure | None:
        """Return the limit that the last error of the log names, if there was no answer yet. It has no status."""
        errors = _LOGGED.findall(stderr)
        if not errors or self._turns or _QUOTA.search(errors[-1]) is None:
            return None
        return CliFailure(f"waited for a usage limit: {ndjson.first_line(errors[-1])}", quota=True)

    def _unfinished(self) -> str | None:
        if self._finished == "stop":
            return None
        return f"after an answer that ended with {self._finished!r}" if self._finished else "without a final answer"


def _tokens(part: ndjson.JsonObject) -> Tokens:
    counts = ndjson.section(part, "tokens")
    cache = ndjson.section(counts, "cache")
    return Tokens(
        input=ndjson.count(counts, "input"),
        cache_read=ndjson.count(cache, "read"),
        cache_write=ndjson.count(cache, "write"),
        output=ndjson.count(counts, "output"),
        reasoning=ndjson.count(counts, "reasoning"),
    )


def _paths(tool: str, arguments: ndjson.JsonObject) -> list[str]:
    if tool in WRITING_TOOLS:
        path = ndjson.text(arguments, "filePath")
        return [] if path is None else [path]
    if tool in PATCH_TOOLS:
        return [path.strip() for path in _PATCHED.findall(ndjson.text(arguments, "patchText") or "")]
    return []


def _error_text(error: ndjson.JsonObject) -> str:
    data = ndjson.section(error, "data")
    name = ndjson.text(error, "name") or "error"
    text = ndjson.first_line(ndjson.text(data, "message") or ndjson.text(error, "message") or "")
    status = data.get("statusCode")
    label = f"{name} {status}" if isinstance(status, int) else name
    return f"{label}: {text}" if text else label
