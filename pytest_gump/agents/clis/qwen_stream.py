"""Reads the `stream-json` output of Qwen Code (0.24, checked against recorded streams).

* An answer of the model comes as two events with different ids: one for its text, without usage, and one for its tool
  calls, with the usage of both. So an answer ends with the event that has a usage, or with the results of its tools.
* `input_tokens` includes cached tokens.
* The usage of a result is that of the whole conversation, resumed runs included. It may be more than the answers on the
  stream (the CLI makes requests of its own), and less after an error. So the usage is the growth of the conversation's
  total or the sum of the answers, whichever is larger.
* No cost is reported. It is estimated for each answer.
* The CLI's own limits end it without a result: exit code 53 for turns, 55 for others; the message is on stderr.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents.base import Note, UsageSeen
from pytest_gump.agents.clis.qwen_sessions import api_error
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure, ToolNames
from pytest_gump.agents.streams.meter import Meter, each, tokens_grown
from pytest_gump.agents.streams.result_reader import QUOTA_STATUS, ResultReader
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Limit

TURN_LIMIT_EXIT: Final = 53

_API_ERROR: Final = "[API Error"


class QwenReader(ResultReader):
    CLI: ClassVar = "qwen"
    TOOLS: ClassVar = ToolNames(
        writing=frozenset({"write_file", "edit", "notebook_edit"}),
        commands=frozenset({"run_shell_command", "monitor"}),
        paths=("file_path", "notebook_path"),
    )
    LOST_SESSION: ClassVar = ("No saved session found",)
    NOISE: ClassVar = re.compile(
        r".*(?:Ripgrep not available|SAFE MODE|Retrying |cannot set loader-affecting)|at \S.*\.js:\d+:\d+\)?$"
    )
    QUOTA: ClassVar = re.compile(
        r"API Error: (?:429|503|529)\b|\bstatus (?:429|503|529)\b|too many requests|rate.?limit|quota"
        r"|insufficient.?balance|arrearage|account is in good standing|\boverloaded\b",
        re.IGNORECASE,
    )

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._answering = False
        self._meter = Meter()
        self._grown: Tokens | None = None
        """Growth of the conversation's running total; None until a result reports it."""
        self._uncounted = Meter()
        """Estimate of the answers that ended without a usage."""

    # -- events ----------------------------------------------------------------------------------------------------

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.section(record, "message")
        tokens = _tokens(ndjson.section(message, "usage"))
        spoke = tokens.total > 0
        blocks = ndjson.sections(message, "content")
        if not spoke and _is_api_error(blocks):
            return NO_EVENTS
        main = record.get("parent_tool_use_id") is None
        events: list[Event] = []
        if main:
            self._model = ndjson.text(message, "model") or self._model
            if not self._answering:
                events.append(self._turn())
            self._answering = not spoke
            self._record_context(tokens)
        for block in blocks:
            events += self._read_block(block, main=main)
        if spoke:
            self._meter.add(tokens, self._price(ndjson.text(message, "model") or self._model, tokens))
            events.append(UsageSeen(self._usage()))
        return events

    def _read_user(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if record.get("parent_tool_use_id") is None and self._answering:
            self._estimate_answer()
            return [UsageSeen(self._usage()), *super()._read_user(record)]
        return super()._read_user(record)

    def _estimate_answer(self) -> None:
        """End an answer that had no usage."""
        tokens = self._conversation.last_answer()
        self._uncounted.add(tokens, self._price(self._model, tokens))
        self._answering = False

    def _read_system(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if record.get("subtype") != "retry":
            return super()._read_system(record)
        self._retries += 1
        return (Note(f"API retry {self._retries}"),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if self._answering:
            self._estimate_answer()
        grown = self._growth(_tokens(ndjson.section(record, "usage")))
        is_whole = not self._uncounted.answers or grown.total > self._meter.tokens.total
        if is_whole and grown.suffice(self._turns):
            self._grown, self._uncounted = grown, Meter()
        self._is_doubted = self._uncounted.answers > 0
        return super()._read_result(record)

    def _usage(self) -> Usage:
        """Return the usage of the answers on the stream, plus what only the result counts."""
        seen, cost_usd = self._meter.tokens + self._uncounted.tokens, _sum(self._meter, self._uncounted)
        total = seen if self._grown is None else each(max, seen, self._grown)
        beyond = Tokens() if total == seen else each(int.__sub__, total, seen)
        if cost_usd is not None and (beyond.total or not seen.total):
            more = self._price(self._model, beyond)
            cost_usd = None if more is None else cost_usd + more
        return Usage.estimated(total, cost_usd, *self._counts)

    def _growth(self, total: Tokens) -> Tokens:
        """Return the growth of the conversation's running total; 0 if the earlier total is unknown."""
        before = self._task.session
        if before is None:
            return total
        if before.tokens.total == 0 or total.total < before.tokens.total:
            return Tokens()
        return tokens_grown(total, before.tokens)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _limit_waited_for(self, _stderr: str) -> CliFailure | None:
        """Return the limit for which the last request failed. Only the file of the conversation has it."""
        error = None if self._session_id is None else api_error(self._session_id, self._task.worktree)
        if error is None or self._result is not None or error.get("status_code") not in QUOTA_STATUS:
            return None
        said = ndjson.first_line(ndjson.text(error, "error_message") or "")
        return CliFailure(f"waited for a usage limit: {said}", quota=True)

    def _limit(self, exit_code: int | None) -> Limit | None:
        return "max_turns" if self._result is None and exit_code == TURN_LIMIT_EXIT else None

    def _error_text(self, result: ndjson.JsonObject) -> str:
        text = ndjson.text(ndjson.section(result, "error"), "message") or super()._error_text(result)
        return text.replace("]\n", "\n").strip("[] \n")

    def _session_totals(self) -> tuple[None, Tokens]:
        """Return the CLI's own total, or the sum of all answers if that is larger."""
        before = self._task.session
        total = _tokens(ndjson.section(self._result or {}, "usage"))
        known = before is None or before.tokens.total > 0
        if known:
            counted = (before.tokens if before is not None else Tokens()) + self._meter.tokens
            total = total if total.total >= counted.total else counted
        return None, total


def _sum(first: Meter, second: Meter) -> float | None:
    return None if first.cost_usd is None or second.cost_usd is None else first.cost_usd + second.cost_usd


def _tokens(usage: ndjson.JsonObject) -> Tokens:
    read = ndjson.count(usage, "input_tokens")
    cached = min(read, ndjson.count(usage, "cache_read_input_tokens"))
    return Tokens(input=read - cached, cache_read=cached, output=ndjson.count(usage, "output_tokens"))


def _is_api_error(blocks: Iterable[ndjson.JsonObject]) -> bool:
    """True if the CLI prints an error in place of an answer."""
    return all((ndjson.text(block, "text") or "").startswith(_API_ERROR) for block in blocks)
