"""Reads the `stream-json` output of Claude Code (2.1, checked against recorded streams).

* A turn is an answer of the model: a distinct `message.id` of the main thread. One answer comes as several events, one
  for each content block. `<synthetic>` messages are written by the CLI itself. `num_turns` counts something else.
* There may be several `result` events (if a subagent ends after the main answer): the last one counts.
* `total_cost_usd` and `modelUsage` are cumulative over results and resumed runs, subagents included. `usage` covers one
  result, without subagents, and lacks the last answer of a run that its budget stopped. So tokens and cost are
  `modelUsage` and `total_cost_usd` minus the earlier totals of the conversation.
* Before the result, only input tokens are known (`output_tokens` is that of the start of an answer). Output is
  estimated from the length of the text, and cost from the price table. A run without a result is estimated like this.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Note, SessionRef, ToolResult, UsageSeen
from pytest_gump.agents.clis.claude_usage import Answer, input_tokens, is_guess, model_tokens, result_tokens
from pytest_gump.agents.streams import ndjson, resets
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure, ToolNames
from pytest_gump.agents.streams.meter import Meter, each, grown, tokens_grown
from pytest_gump.agents.streams.refusals import Refusals
from pytest_gump.agents.streams.result_reader import QUOTA_STATUS, ResultReader
from pytest_gump.agents.usage import NOTHING_USED, Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers, Limit
    from pytest_gump.agents.usage import Provenance

SYNTHETIC: Final = "<synthetic>"
RATE_LIMIT: Final = "rate_limit"

LIMITS: Final[Mapping[str, Limit]] = {"error_max_turns": "max_turns", "error_max_budget_usd": "max_budget"}

_OPEN_ANSWERS: Final = 1000
"""Answers to keep. The blocks of one answer come close together, so older answers can be dropped to bound memory."""

_USER: Final = b'{"type":"user",'
_LONG: Final = 2048
"""Bytes. Longer lines are tool results: they are most of a stream, and only their error flag matters."""


class ClaudeReader(ResultReader):
    CLI: ClassVar = "claude"
    TOOLS: ClassVar = ToolNames(
        writing=frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"}),
        commands=frozenset({"Bash"}),
        paths=("file_path", "notebook_path"),
    )
    LOST_SESSION: ClassVar = ("No conversation found with session ID",)
    QUOTA: ClassVar = re.compile(
        r"\b(usage|session|weekly|rate|spend(?:ing)?) limit\b|credit balance is too low|hit your (?:\w{1,20} )?limit"
        r"|\boverloaded\b|out of (?:extra )?usage",
        re.IGNORECASE,
    )

    def __init__(self, task: Task, _model: str | None = None) -> None:
        super().__init__(task)  # the stream names the model; `opus` is not a model name
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._unnamed = 0
        self._reported = NOTHING_USED
        self._summed = Tokens()
        """Sum over all results: each reports its own part."""
        self._since = Meter()
        """Answers after the last result, or all answers if there was none."""
        self._refused_so_far = Refusals()
        """Refusals that the CLI reports while it runs, with its reasons in place of the commands."""
        self._closed: dict[str, float | None] = {}
        """Exhausted limits of the account, each with its reset time."""
        self._in_place_of_answer: str | None = None
        """Kind of the error that the CLI reported in place of the model's last answer."""

    # -- events ----------------------------------------------------------------------------------------------------

    def _handlers(self) -> Handlers:
        return {**super()._handlers(), "rate_limit_event": self._read_limit}

    def feed(self, line: bytes) -> Iterable[Event]:
        if len(line) > _LONG and line.startswith(_USER) and line.endswith(b"}"):
            self._conversation.add_tool_output(len(line))
            return _skim_user(line)
        return super().feed(line)

    def _read_assistant(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.section(record, "message")
        model = ndjson.text(message, "model")
        main = record.get("parent_tool_use_id") is None
        if main:
            self._in_place_of_answer = ndjson.text(record, "error") if model == SYNTHETIC else None
        if model == SYNTHETIC:
            return NO_EVENTS
        events: list[Event] = []
        answer = self._answer(message, model, main=main, events=events)
        for block in ndjson.sections(message, "content"):
            answer.grow(self._since, _characters(block))
            events += self._read_block(block, main=main)
        events.append(UsageSeen(self._usage()))
        return events

    def _answer(self, message: ndjson.JsonObject, model: str | None, *, main: bool, events: list[Event]) -> Answer:
        key = ndjson.text(message, "id") or f"unnamed-{self._unnamed}"
        self._unnamed += 1
        answer = self._answers.get(key)
        if answer is None:
            tokens = input_tokens(ndjson.section(message, "usage"))
            if main:
                self._model = self._conversation.model = model or self._model
                self._record_context(tokens)
                events.append(self._turn())
            self._is_doubted = self._is_doubted or (main and not tokens.read)
            answer = Answer(self._since, model, tokens if tokens.read else self._conversation.last_answer())
            self._answers[key] = answer
            if len(self._answers) > _OPEN_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    def _read_system(self, record: ndjson.JsonObject) -> Iterable[Event]:
        kind = record.get("subtype")
        if kind == "api_retry":
            return self._read_retry(record)
        if kind == "permission_denied":
            why = ndjson.text(record, "decision_reason") or ndjson.text(record, "message") or "no reason given"
            tool = ndjson.text(record, "tool_name") or "?"
            refused = f"{tool}: {ndjson.first_line(why, limit=120)}"
            self._refused_so_far.add(refused, is_command=tool in self.TOOLS.commands)
            return (Note(f"permission denied: {refused}"),)
        return super()._read_system(record)

    def _read_retry(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._retries += 1
        error = ndjson.text(record, "error") or "unknown error"
        status = record.get("error_status")
        cause = f"{error}, {status}" if isinstance(status, int) else error
        if status in QUOTA_STATUS:
            reason = f"waited for a usage limit: API retry {ndjson.count(record, 'attempt')}: {cause}"
            next_try = time.time() + ndjson.count(record, "retry_delay_ms") / 1000
            self._waiting = CliFailure(reason, quota=True, resets_at=resets.sane(next_try, time.time()))
        return (Note(f"API retry {ndjson.count(record, 'attempt')}: {cause}"),)

    def _read_limit(self, record: ndjson.JsonObject) -> Iterable[Event]:
        limit = ndjson.section(record, "rate_limit_info")
        name = ndjson.text(limit, "rateLimitType") or ""
        self._closed.pop(name, None)
        if limit.get("status") == "rejected":
            self._closed[name] = ndjson.number(limit, "resetsAt")
        return NO_EVENTS

    def _read_result(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._summed += result_tokens(record)
        reported = self._reported_usage(record)
        self._is_doubted = self._is_doubted or not reported.tokens.suffice(self._turns)
        if not self._is_doubted:
            self._reported, self._since = reported, Meter()
        return super()._read_result(record)

    # -- usage -----------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        """Return the total of this attempt so far: the reported usage, and an estimate for later answers."""
        reported, since = self._reported, self._since
        if self._result is not None and since.answers == 0:
            return Usage(reported.tokens, reported.cost_usd, reported.provenance, *self._counts)
        if reported is NOTHING_USED:
            return Usage.estimated(since.tokens, since.cost_usd, *self._counts)
        is_known = reported.cost_usd is not None and since.cost_usd is not None
        cost_usd = (reported.cost_usd or 0.0) + (since.cost_usd or 0.0) if is_known else None
        return Usage.estimated(reported.tokens + since.tokens, cost_usd, *self._counts)

    def _reported_usage(self, result: ndjson.JsonObject) -> Usage:
        tokens = self._reported_tokens(result)
        total_usd = ndjson.number(result, "total_cost_usd")
        before = self._task.session
        if total_usd is None or (before is not None and before.cost_usd is None):
            return prices.estimated_usage(self._model, tokens)
        cost_usd = grown(total_usd, before.cost_usd if before is not None else None)
        if not cost_usd and tokens.total:
            return Usage.estimated(tokens, self._price(self._model, tokens, self._turns))
        provenance: Provenance = "estimated" if is_guess(result) else "reported"
        return Usage(tokens, cost_usd, provenance)

    def _reported_tokens(self, result: ndjson.JsonObject) -> Tokens:
        """Return the larger of the CLI's two counts, because neither is always complete."""
        before = self._task.session
        if before is not None and before.tokens.total == 0:
            return self._summed
        total = model_tokens(result)
        return each(max, total if before is None else tokens_grown(total, before.tokens), self._summed)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _conclude(self, stderr: str) -> None:
        super()._conclude(stderr)
        if is_guess(self._result or {}):
            self._notes.add(f"the CLI has no price for {self._model}: the cost is a guess")
        if self._result is None:
            self._refusals = self._refused_so_far

    def _failure(self) -> CliFailure | None:
        failure = super()._failure()
        if failure is None and self._result is not None and self._in_place_of_answer == RATE_LIMIT:
            text = super()._error_text(self._result)
            failure = CliFailure(ndjson.first_line(text) or "the usage limit is reached", quota=True, message=text)
        if failure is None or not failure.quota or not self._closed:
            return failure
        ends = (resets.epoch(end, time.time()) for end in self._closed.values())
        return replace(failure, resets_at=max(filter(None, ends), default=None))

    def _error_text(self, result: ndjson.JsonObject) -> str:
        return "; ".join(ndjson.strings(result, "errors")) or super()._error_text(result)

    def _limit(self, _exit_code: int | None) -> Limit | None:
        return LIMITS.get(ndjson.text(self._result or {}, "subtype") or "")

    def _session(self) -> SessionRef | None:
        is_resumed = self._started and self._session_id is None and not self._task.fork
        return self._task.session if is_resumed else super()._session()

    def _session_totals(self) -> tuple[float | None, Tokens]:
        """Return the totals that the CLI reported."""
        before = self._task.session
        cost_usd = before.cost_usd if before is not None else None
        tokens = before.tokens if before is not None else Tokens()
        if self._result is not None:
            total_usd = ndjson.number(self._result, "total_cost_usd")
            cost_usd = total_usd or cost_usd or total_usd
            total = model_tokens(self._result)
            tokens = total if total.total else tokens
        elif cost_usd is None and before is None:
            cost_usd = 0.0
        return cost_usd, tokens


def _characters(block: ndjson.JsonObject) -> int:
    """Return the length of the text that the model wrote."""
    kind = block.get("type")
    if kind == "tool_use":
        return characters_of(ndjson.section(block, "input"))
    return len(ndjson.text(block, kind) or "") if kind in ("text", "thinking") else 0


def _skim_user(line: bytes) -> Iterable[Event]:
    """Read a long line without parsing it. Quotes inside a text are escaped, so they do not match."""
    is_error = b'"is_error":true' in line
    return [ToolResult(is_error=is_error) for _ in range(line.count(b'"type":"tool_result"'))]
