"""Reads the `stream-json` output of Qwen Code (0.24, checked against recorded streams).

* One answer of the model comes as one event for its text, without usage, and one for its tool calls, with the usage of
  both; each has an id of its own. So an answer ends with the event that has a usage, or with the results of its tools.
* `input_tokens` includes what came from the cache.
* The usage of a result is that of the whole session, resumed runs included; it may hold more than the answers on the
  stream (requests of the CLI's own), and after an error less. So it is what the session grew by, or the sum of the
  answers, whichever is more.
* No cost is reported: it is estimated, answer by answer.
* The CLI's own limits end it without a result: exit code 53 for turns, 55 for others, the words are on stderr.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_gump.agents.base import Provenance, Task

CLI: Final = "qwen"

WRITING_TOOLS: Final = frozenset({"write_file", "edit", "notebook_edit"})
SHELL_TOOLS: Final = frozenset({"run_shell_command", "monitor"})

TURN_LIMIT_EXIT: Final = 53

_API_ERROR: Final = "[API Error"

# Only looked for in the result of a failed run: an agent may write such words about its work.
_QUOTA = re.compile(
    r"API Error: 429\b|\bstatus 429\b|too many requests|rate.?limit|quota|insufficient.?balance|arrearage",
    re.IGNORECASE,
)

# What it prints in every run: never the reason of a failure.
_NOISE = re.compile(r"Ripgrep not available|SAFE MODE|Retrying |cannot set loader-affecting")

_LOST_SESSION: Final = "No saved session found"

_NO_EVENTS: Final[tuple[Event, ...]] = ()


class QwenReader:
    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._session_id: str | None = None
        self._started = False
        self._model = model
        self._turns = 0
        self._answering = False
        self._tool_calls = 0
        self._message = ""
        self._meter = _Meter()
        self._result: ndjson.JsonObject | None = None
        self._notes = ndjson.Notes()
        self._retries = 0

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return _NO_EVENTS
        record = ndjson.parse_object(line)
        if record is None:
            return self._note("a line of the stream is not a JSON object")
        kind = record.get("type")
        if kind == "assistant":
            return self._read_assistant(record)
        if kind == "user":
            return self._read_user(record)
        if kind == "system":
            return self._read_system(record)
        if kind == "result":
            return self._read_result(record)
        return _NO_EVENTS

    def _note(self, note: str) -> Iterable[Event]:
        return (Note(note),) if self._notes.add(note) else _NO_EVENTS

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.section(record, "message")
        tokens = _tokens(ndjson.section(message, "usage"))
        blocks = ndjson.sections(message, "content")
        if tokens.total == 0 and _is_api_error(blocks):
            return _NO_EVENTS
        main = record.get("parent_tool_use_id") is None
        events: list[Event] = []
        if main:
            self._model = ndjson.text(message, "model") or self._model
            if not self._answering:
                self._turns += 1
                events.append(Turn(self._turns))
            self._answering = tokens.total == 0
        for block in blocks:
            events += self._read_block(block, main=main)
        if tokens.total:
            self._meter.add(ndjson.text(message, "model") or self._model, tokens)
            events.append(UsageSeen(self._usage()))
        return events

    def _read_block(self, block: ndjson.JsonObject, *, main: bool) -> Iterable[Event]:
        kind = block.get("type")
        if kind == "text":
            words = ndjson.text(block, "text") or ""
            if main:
                self._message = words
            return (Text(words),)
        if kind == "tool_use":
            self._tool_calls += 1
            return (_tool_call(ndjson.text(block, "name") or "?", ndjson.section(block, "input")),)
        return _NO_EVENTS

    def _read_user(self, record: ndjson.JsonObject) -> Iterable[Event]:
        if record.get("parent_tool_use_id") is None:
            self._answering = False
        blocks = ndjson.sections(ndjson.section(record, "message"), "content")
        return [ToolResult(is_error=b.get("is_error") is True) for b in blocks if b.get("type") == "tool_result"]

    def _read_system(self, record: ndjson.JsonObject) -> Iterable[Event]:
        kind = record.get("subtype")
        if kind == "init":
            return self._read_start(record)
        if kind == "retry":
            self._retries += 1
            return (Note(f"API retry {self._retries}"),)
        return _NO_EVENTS

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._model = ndjson.text(record, "model") or self._model
        again, self._started = self._started, True
        return _NO_EVENTS if again else (Started(self._session_id, self._model),)

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._result = record
        for denial in ndjson.sections(record, "permission_denials"):
            tool, wanted = ndjson.text(denial, "tool_name") or "?", ndjson.section(denial, "tool_input")
            words = (ndjson.text(wanted, key) for key in ("command", "file_path", "notebook_path", "path", "url"))
            what = ndjson.first_line(next(filter(None, words), ""), limit=120)
            self._notes.add(f"permission denied: {tool}: {what}" if what else f"permission denied: {tool}")
        return (UsageSeen(self._usage()),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        """The answers on the stream, and what the result counts beyond them."""
        seen, cost_usd = self._meter.tokens, self._meter.cost_usd
        total = seen if self._result is None else _each(max, seen, self._grown())
        beyond = _each(int.__sub__, total, seen) if total != seen else Tokens()
        if cost_usd is not None and (beyond.total or not seen.total):
            more = prices.estimate_answer(self._model, beyond)
            cost_usd = None if more is None else cost_usd + more
        provenance: Provenance = "unknown" if cost_usd is None else "estimated"
        return Usage(total, cost_usd, provenance, self._turns, self._tool_calls)

    def _grown(self) -> Tokens:
        """What the session's running total grew by; nothing when it is not known what it was before."""
        if self._result is None:
            return Tokens()
        total, before = _tokens(ndjson.section(self._result, "usage")), self._task.session
        if before is None:
            return total
        if before.tokens.total == 0 or total.total < before.tokens.total:
            return Tokens()
        return _each(lambda now, then: max(0, now - then), total, before.tokens)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        if self._retries:
            self._notes.add(f"{self._retries} API retries" if self._retries > 1 else "1 API retry")
        limited = not stopped and self._result is None and exit_code == TURN_LIMIT_EXIT
        return Ending(
            outcome=outcome,
            reason=reason,
            message=ndjson.text(self._result or {}, "result") or self._message,
            usage=self._usage(),
            session=self._session(),
            model=self._model,
            notes=self._notes.taken(),
            limit="max_turns" if limited else None,
            lost_session=self._task.session is not None and not self._started and _LOST_SESSION in reason,
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        tail = ndjson.last_line("\n".join(line for line in stderr.splitlines() if not _NOISE.search(line)))
        if self._result is None:
            reason = f"ended without a result, {ndjson.describe_exit(exit_code)}"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        if self._result.get("is_error") is not False or self._result.get("subtype") != "success":
            reason = _reason(self._result)
            return ("quota" if _QUOTA.search(reason) else "agent_error"), reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after a result that says success"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""

    def _session(self) -> SessionRef | None:
        """The conversation with its new total: the CLI's own if there is one, so that a later resume can subtract."""
        if not self._started or self._session_id is None:
            return None
        before = self._task.session
        total = _tokens(ndjson.section(self._result or {}, "usage"))
        known = before is None or before.tokens.total > 0
        if known:
            counted = (before.tokens if before is not None else Tokens()) + self._meter.tokens
            total = total if total.total >= counted.total else counted
        return SessionRef(self._session_id, CLI, str(self._task.worktree), None, total)


class _Meter:
    """Running totals over answers, subagents included."""

    __slots__ = ("cost_usd", "tokens")

    def __init__(self) -> None:
        self.tokens = Tokens()
        self.cost_usd: float | None = 0.0

    def add(self, model: str | None, tokens: Tokens) -> None:
        self.tokens += tokens
        if self.cost_usd is None:
            return
        cost_usd = prices.estimate_answer(model, tokens)
        self.cost_usd = None if cost_usd is None else self.cost_usd + cost_usd


def _tokens(usage: ndjson.JsonObject) -> Tokens:
    read = ndjson.count(usage, "input_tokens")
    cached = min(read, ndjson.count(usage, "cache_read_input_tokens"))
    return Tokens(input=read - cached, cache_read=cached, output=ndjson.count(usage, "output_tokens"))


def _each(combine: Callable[[int, int], int], one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        combine(one.input, other.input),
        combine(one.cache_read, other.cache_read),
        combine(one.cache_write, other.cache_write),
        combine(one.output, other.output),
        combine(one.reasoning, other.reasoning),
    )


def _is_api_error(blocks: Iterable[ndjson.JsonObject]) -> bool:
    """The CLI's own words in place of an answer."""
    return all((ndjson.text(block, "text") or "").startswith(_API_ERROR) for block in blocks)


def _tool_call(tool: str, arguments: ndjson.JsonObject) -> ToolCall:
    if tool in WRITING_TOOLS:
        return ToolCall(tool, path=ndjson.text(arguments, "file_path") or ndjson.text(arguments, "notebook_path"))
    return ToolCall(tool, command=ndjson.text(arguments, "command") if tool in SHELL_TOOLS else None)


def _reason(result: ndjson.JsonObject) -> str:
    words = ndjson.text(ndjson.section(result, "error"), "message") or ndjson.text(result, "result") or ""
    subtype = ndjson.text(result, "subtype") or "unknown"
    return ndjson.first_line(words.strip("[] \n")) or f"the result is an error: {subtype}"
