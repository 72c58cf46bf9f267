"""Reads the `stream-json` output of Claude Code (2.1, checked against recorded streams).

* A turn is an answer of the model: a distinct `message.id` of the main thread; one answer comes as several events, one
  for each content block. `<synthetic>` messages are the CLI's own words. `num_turns` counts something else.
* There may be several `result` events (a subagent that ends after the main answer): the last one counts.
* `total_cost_usd` and `modelUsage` are cumulative over results and over resumed runs, subagents included; `usage` is
  of one result, without subagents, and lacks the last answer of a run that its budget stopped. So tokens and cost are
  `modelUsage` and `total_cost_usd` less what the session had before.
* Before the result, only input tokens are known (`output_tokens` there is that of the start of an answer): output is
  estimated from the length of what was said, and cost from the price table. So is a run that ended without a result.
"""

from __future__ import annotations

import dataclasses
import re
from collections import OrderedDict
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
from pytest_gump.agents.claude_usage import (
    Answer,
    Estimate,
    characters_of,
    grown,
    is_guess,
    model_tokens,
    result_tokens,
    tokens_grown,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Provenance, Task

CLI: Final = "claude"
SYNTHETIC: Final = "<synthetic>"

WRITING_TOOLS: Final = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})

LIMITS: Final[Mapping[str, Literal["max_turns", "max_budget"]]] = {
    "error_max_turns": "max_turns",
    "error_max_budget_usd": "max_budget",
}

# Only looked for in the result of a failed run: an agent may write such words about its work.
_QUOTA = re.compile(
    r"\b(usage|session|weekly|rate|spend(?:ing)?) limit\b|credit balance is too low|hit your limit", re.IGNORECASE
)

_LOST_SESSION: Final = "No conversation found with session ID"

_NO_EVENTS: Final[tuple[Event, ...]] = ()

_OPEN_ANSWERS: Final = 1000
"""The blocks of one answer come close together: older answers are forgotten, so that memory stays bounded."""

_USER: Final = b'{"type":"user",'
_LONG: Final = 2048
"""Bytes. What tools answered is most of a stream, and only whether it is an error matters."""


class ClaudeReader:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._session_id: str | None = None
        self._started = False
        self._model: str | None = None
        self._turns = 0
        self._tool_calls = 0
        self._message = ""
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._unnamed = 0
        self._reported = Usage()
        self._since = Estimate()
        """What was seen after the last result, or at all if there was none."""
        self._results: list[ndjson.JsonObject] = []
        self._notes = ndjson.Notes()
        self._refusals = ndjson.Notes()
        self._retries = 0

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if len(line) > _LONG and line.startswith(_USER) and line.endswith(b"}"):
            return _skim_user(line)
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
        model = ndjson.text(message, "model")
        if model == SYNTHETIC:
            return _NO_EVENTS
        events: list[Event] = []
        main = record.get("parent_tool_use_id") is None
        answer = self._answer(message, model, main=main, events=events)
        for block in ndjson.sections(message, "content"):
            self._read_block(block, answer, main=main, events=events)
        events.append(UsageSeen(self._usage()))
        return events

    def _answer(self, message: ndjson.JsonObject, model: str | None, *, main: bool, events: list[Event]) -> Answer:
        key = ndjson.text(message, "id") or f"unnamed-{self._unnamed}"
        self._unnamed += 1
        answer = self._answers.get(key)
        if answer is None:
            usage = ndjson.section(message, "usage")
            tokens = Tokens(
                input=ndjson.count(usage, "input_tokens"),
                cache_read=ndjson.count(usage, "cache_read_input_tokens"),
                cache_write=ndjson.count(usage, "cache_creation_input_tokens"),
            )
            answer = Answer(model, tokens, prices.estimate_answer(model, tokens))
            self._answers[key] = answer
            if len(self._answers) > _OPEN_ANSWERS:
                self._answers.popitem(last=False)
            self._since.start(answer)
            if main:
                self._model = model or self._model
                self._turns += 1
                events.append(Turn(self._turns))
        return answer

    def _read_block(self, block: ndjson.JsonObject, answer: Answer, *, main: bool, events: list[Event]) -> None:
        kind = block.get("type")
        if kind == "text":
            words = ndjson.text(block, "text") or ""
            self._since.grow(answer, len(words))
            if main:
                self._message = words
            events.append(Text(words))
        elif kind == "tool_use":
            self._tool_calls += 1
            arguments = ndjson.section(block, "input")
            self._since.grow(answer, characters_of(arguments))
            events.append(_tool_call(ndjson.text(block, "name") or "?", arguments))
        elif kind == "thinking":
            self._since.grow(answer, len(ndjson.text(block, "thinking") or ""))

    def _read_user(self, record: ndjson.JsonObject) -> Iterable[Event]:
        blocks = ndjson.sections(ndjson.section(record, "message"), "content")
        return [ToolResult(is_error=b.get("is_error") is True) for b in blocks if b.get("type") == "tool_result"]

    def _read_system(self, record: ndjson.JsonObject) -> Iterable[Event]:
        kind = record.get("subtype")
        if kind == "init":
            return self._read_start(record)
        if kind == "api_retry":
            return self._read_retry(record)
        if kind == "permission_denied":
            why = ndjson.text(record, "decision_reason") or ndjson.text(record, "message") or "no reason given"
            tool = ndjson.text(record, "tool_name") or "?"
            note = f"permission denied: {tool}: {ndjson.first_line(why, limit=120)}"
            return (Note(note),) if self._refusals.add(note) else _NO_EVENTS
        return _NO_EVENTS

    def _read_start(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._model = self._model or ndjson.text(record, "model")
        again, self._started = self._started, True
        return _NO_EVENTS if again else (Started(self._session_id, self._model),)

    def _read_retry(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._retries += 1
        error = ndjson.text(record, "error") or "unknown error"
        status = record.get("error_status")
        cause = f"{error}, {status}" if isinstance(status, int) else error
        return (Note(f"API retry {ndjson.count(record, 'attempt')}: {cause}"),)

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._session_id = ndjson.text(record, "session_id") or self._session_id
        self._results.append(record)
        for denial in ndjson.sections(record, "permission_denials"):
            tool, wanted = ndjson.text(denial, "tool_name") or "?", ndjson.section(denial, "tool_input")
            words = (ndjson.text(wanted, key) for key in ("command", "file_path", "notebook_path", "path", "url"))
            what = ndjson.first_line(next(filter(None, words), ""), limit=120)
            self._notes.add(f"permission denied: {tool}: {what}" if what else f"permission denied: {tool}")
        self._reported = self._reported_usage(record)
        self._since = Estimate()
        return (UsageSeen(self._usage()),)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        """The total of this attempt so far: what was reported, and an estimate of what came after."""
        reported, since = self._reported, self._since
        if self._results and since.answers == 0:
            return dataclasses.replace(reported, turns=self._turns, tool_calls=self._tool_calls)
        tokens = reported.tokens + since.tokens if self._results else since.tokens
        if since.cost_usd is None or (self._results and reported.cost_usd is None):
            return Usage(tokens, None, "unknown", self._turns, self._tool_calls)
        cost_usd = (reported.cost_usd or 0.0) + since.cost_usd
        return Usage(tokens, cost_usd, "estimated", self._turns, self._tool_calls)

    def _reported_usage(self, result: ndjson.JsonObject) -> Usage:
        tokens = self._reported_tokens()
        total_usd = ndjson.number(result, "total_cost_usd")
        before = self._task.session
        if total_usd is None or (before is not None and before.cost_usd is None):
            return prices.estimated_usage(self._model, tokens)
        cost_usd = grown(total_usd, before.cost_usd if before is not None else None)
        provenance: Provenance = "estimated" if is_guess(result) else "reported"
        return Usage(tokens, cost_usd, provenance)

    def _reported_tokens(self) -> Tokens:
        """The greater of the two counts the CLI gives: neither is complete in every case."""
        summed = sum((result_tokens(result) for result in self._results), Tokens())
        before = self._task.session
        if before is not None and before.tokens.total == 0:
            return summed
        total = model_tokens(self._results[-1])
        mine = total if before is None else tokens_grown(total, before.tokens)
        return Tokens(*map(max, dataclasses.astuple(mine), dataclasses.astuple(summed)))

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        result = self._results[-1] if self._results else {}
        if self._retries:
            self._notes.add(f"{self._retries} API retries" if self._retries > 1 else "1 API retry")
        if is_guess(result):
            self._notes.add(f"the CLI does not know the price of {self._model}: its cost is a guess")
        return Ending(
            outcome=outcome,
            reason=reason,
            message=ndjson.text(result, "result") or self._message,
            usage=self._usage(),
            session=self._session(),
            model=self._model,
            notes=self._notes.taken() + (() if self._results else self._refusals.taken()),
            limit=None if stopped else LIMITS.get(ndjson.text(result, "subtype") or ""),
            lost_session=self._task.session is not None and not self._started and _LOST_SESSION in reason,
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        tail = ndjson.last_line(stderr)
        if not self._results:
            reason = f"ended without a result, {ndjson.describe_exit(exit_code)}"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        result = self._results[-1]
        if result.get("is_error") is not False or result.get("subtype") != "success":
            reason = _reason(result)
            quota = result.get("api_error_status") == 429 or _QUOTA.search(reason) is not None
            return ("quota" if quota else "agent_error"), reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after a result that says success"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""

    def _session(self) -> SessionRef | None:
        """The conversation with its new totals: those that the CLI reported, so that a later resume can subtract."""
        before = self._task.session
        if not self._started:
            return None
        if self._session_id is None:
            return before
        cost_usd = before.cost_usd if before is not None else None
        tokens = before.tokens if before is not None else Tokens()
        if self._results:
            total_usd = ndjson.number(self._results[-1], "total_cost_usd")
            cost_usd = total_usd or cost_usd or total_usd
            total = model_tokens(self._results[-1])
            tokens = total if total.total else tokens
        elif cost_usd is None and before is None:
            cost_usd = 0.0
        return SessionRef(self._session_id, CLI, str(self._task.worktree), cost_usd, tokens)


def _skim_user(line: bytes) -> Iterable[Event]:
    """Read a long line without parsing it: in the text of an answer, quotes have a backslash and never match."""
    is_error = b'"is_error":true' in line
    return [ToolResult(is_error=is_error) for _ in range(line.count(b'"type":"tool_result"'))]


def _tool_call(tool: str, arguments: ndjson.JsonObject) -> ToolCall:
    if tool in WRITING_TOOLS:
        return ToolCall(tool, path=ndjson.text(arguments, "file_path") or ndjson.text(arguments, "notebook_path"))
    return ToolCall(tool, command=ndjson.text(arguments, "command") if tool == "Bash" else None)


def _reason(result: ndjson.JsonObject) -> str:
    words = "; ".join(ndjson.strings(result, "errors")) or ndjson.text(result, "result") or ""
    subtype = ndjson.text(result, "subtype") or "unknown"
    return ndjson.first_line(words) or f"the result is an error: {subtype}"
