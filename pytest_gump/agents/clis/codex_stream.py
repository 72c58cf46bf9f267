"""Reads the `--json` output of `codex exec` (0.169 to 0.171, checked against recorded streams).

* One `turn` of the stream is the whole run, and answers of the model are not marked. This reader starts an answer at
  the first item, at reasoning or a message after anything else, and at a tool that starts while none is running. So
  several tools called by one answer count as several answers, and an answer without items (a patch that the sandbox
  refused) does not count.
* `turn.completed` has the only usage: cumulative over resumed and forked runs of the thread, input with cached tokens,
  output with reasoning. Before it, or without it, tokens are estimated from the text.
* An `error` line is a retry, or comes before `turn.failed`; an item of the type `error` is a warning.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pytest_gump.agents.base import Note, Text, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.estimate import characters_of
from pytest_gump.agents.streams.estimated_reader import UNNAMED, EstimatedReader
from pytest_gump.agents.streams.json_reader import NO_EVENTS, CliFailure
from pytest_gump.agents.streams.meter import tokens_grown
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Event, Task
    from pytest_gump.agents.streams.json_reader import Handlers

TOOLS: Final = frozenset({"command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call"})

# Searched only in the failure that the CLI reports, because an agent may write such words about its work.
_QUOTA: Final = re.compile(
    r"\b429\b|too many requests|rate limit|usage limit|quota|insufficient_quota|out of credits|credit balance"
    r"|\boverloaded\b|at capacity|\bstatus:? (?:503|529)\b",  # codex reports every 500 as "high demand"
    re.IGNORECASE,
)
_RETRY: Final = re.compile(r"Reconnecting\.\.\. ", re.ASCII)
_WAIT: Final = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{1,9}Z +WARN "
    r".{0,4000}? \(\d{1,4}/\d{1,4} in (?P<pause>\d{1,9}(?:\.\d{1,9})?)(?P<unit>m?s)\)",
    re.MULTILINE | re.ASCII,
)
_DENIED: Final = "codex_sandboxing::violation: recorded sandbox violation"
"""In the log, once for each command that fails in the sandbox. The stream does not contain these commands."""
_SHELL: Final = re.compile(r"(?:\S*/)?(?:ba|z|da)?sh", re.ASCII)
_PLAIN_CALL: Final = re.compile(_SHELL.pattern + r" -l?c '([^']*)'", re.ASCII)

_Phase = Literal["none", "thinking", "message", "tool"]


class CodexReader(EstimatedReader):
    CLI: ClassVar = "codex"
    GOOD_END: ClassVar = "turn.completed"
    LOST_SESSION: ClassVar = ("no rollout found",)
    NOISE: ClassVar = re.compile(r"Reading (?:prompt|additional input) from stdin\.\.\.|\d{4}-\S+ +WARN ")

    def __init__(self, task: Task, model: str | None = None) -> None:
        super().__init__(task, model)
        self._phase: _Phase = "none"
        self._reported: Tokens | None = None
        """The running total of the thread."""
        self._failed: str | None = None
        self._ended: Literal["completed", "failed"] | None = None

    def _handlers(self) -> Handlers:
        return {
            "item.started": self._read_started,
            "item.completed": self._read_completed,
            "thread.started": lambda record: self._start(ndjson.text(record, "thread_id")),
            "turn.completed": self._read_usage,
            "turn.failed": self._read_failure,
            "error": self._read_error,
        }

    # -- events ----------------------------------------------------------------------------------------------------

    def _read_failure(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._ended = "failed"
        self._failed = ndjson.text(ndjson.section(record, "error"), "message")
        return NO_EVENTS

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.first_line(ndjson.text(record, "message") or "unknown error")
        if _RETRY.match(message) is None:
            self._last_error = message
            return NO_EVENTS
        self._retries += 1
        if _QUOTA.search(message) is not None:
            self._waiting = CliFailure(f"waited for a usage limit: {message}", quota=True)
        return (Note(message),)

    def _read_started(self, record: ndjson.JsonObject) -> Iterable[Event]:
        item = ndjson.section(record, "item")
        kind = item.get("type")
        return self._read_tool(kind, item, done=False) if isinstance(kind, str) and kind in TOOLS else NO_EVENTS

    def _read_completed(self, record: ndjson.JsonObject) -> Iterable[Event]:
        item = ndjson.section(record, "item")
        kind = item.get("type")
        if isinstance(kind, str) and kind in TOOLS:
            return self._read_tool(kind, item, done=True)
        if kind == "agent_message":
            return self._read_message(ndjson.text(item, "text") or "")
        if kind == "reasoning":
            events = self._answer("thinking", continues=self._phase == "thinking")
            self._conversation.add_output(len(ndjson.text(item, "text") or ""))
            return events
        if kind == "error":
            return self._note(ndjson.first_line(ndjson.text(item, "message") or "unknown warning"))
        return NO_EVENTS

    def _read_message(self, text: str) -> Iterable[Event]:
        events = self._answer("message", continues=self._phase == "thinking")
        self._message = text
        self._conversation.add_output(len(text))
        return [*events, Text(text), *self._seen()]

    def _answer(self, phase: _Phase, *, continues: bool) -> list[Event]:
        """Enter a phase. Return the event of a new answer, unless the current answer continues."""
        self._phase = phase
        return [] if continues else [self._turn()]

    def _read_tool(self, kind: str, item: ndjson.JsonObject, *, done: bool) -> Iterable[Event]:
        key = ndjson.text(item, "id") or UNNAMED
        events: list[Event] = []
        if key not in self._running:
            events += self._answer("tool", continues=bool(self._running) or self._phase in {"thinking", "message"})
            self._running.add(key)
            self._tool_calls += 1
            calls = _tool_calls(kind, item)
            self._conversation.add_output(characters_of(_asked(item)))
            events += [*calls, *self._seen()]
        if done:
            self._running.discard(key)
            self._conversation.add_tool_output(len(ndjson.text(item, "aggregated_output") or ""))
            events.append(ToolResult(is_error=item.get("status") != "completed"))
        return events

    # -- usage -----------------------------------------------------------------------------------------------------

    def _read_usage(self, record: ndjson.JsonObject) -> Iterable[Event]:
        self._ended = "completed"
        usage = ndjson.section(record, "usage")
        cached, written = ndjson.count(usage, "cached_input_tokens"), ndjson.count(usage, "cache_write_input_tokens")
        reasoning = ndjson.count(usage, "reasoning_output_tokens")
        tokens = Tokens(
            input=max(0, ndjson.count(usage, "input_tokens") - cached - written),
            cache_read=cached,
            cache_write=written,
            output=max(0, ndjson.count(usage, "output_tokens") - reasoning),
            reasoning=reasoning,
        )
        self._reported = tokens if usage else self._reported
        self._has_reported = self._reported is not None
        return (UsageSeen(self._usage()),)

    def _reported_usage(self) -> Usage | None:
        if self._reported is None:
            return None
        before = self._task.session
        mine = self._reported if before is None else tokens_grown(self._reported, before.tokens)
        return Usage.estimated(mine, self._price(self._model, mine, self._turns), *self._counts)

    # -- the end ---------------------------------------------------------------------------------------------------

    def _failure(self) -> CliFailure | None:
        if self._ended != "failed":
            return None
        message = self._failed or self._last_error
        reason = _error_text(message) or "the turn failed without a reason"
        return CliFailure(reason, quota=_QUOTA.search(reason) is not None, message=message)

    def _limit_waited_for(self, stderr: str) -> CliFailure | None:
        waiting = super()._limit_waited_for(stderr)
        return None if waiting is None else replace(waiting, resets_at=_next_try(stderr))

    def _unfinished(self) -> str | None:
        return "without turn.completed" if self._ended is None else None

    def _conclude(self, stderr: str) -> None:
        super()._conclude(stderr)
        for line in stderr.splitlines():
            _, found, why = line.partition("codex_core::tools::router: error=")
            if found:
                self._refusals.add(why)
            elif _DENIED in line:
                self._refusals.add("a command that the sandbox stopped or could not start")

    def _session_totals(self) -> tuple[None, Tokens]:
        """Return the running total of the thread, estimated if the run did not report one."""
        before = self._task.session
        earlier = before.tokens if before is not None else Tokens()
        if self._reported is not None and self._reported.suffice(self._turns):
            return None, self._reported
        return None, earlier + self._conversation.tokens


def _next_try(stderr: str) -> float | None:
    """Return when the CLI tries again, in seconds since the epoch. It prints this only to its log."""
    last = max(_WAIT.finditer(stderr), key=lambda found: found.start(), default=None)
    if last is None:
        return None
    seconds = float(last["pause"]) / (1000 if last["unit"] == "ms" else 1)
    return datetime.fromisoformat(last["at"]).replace(tzinfo=UTC).timestamp() + seconds


def _error_text(failure: str) -> str:
    """Return the message of a failure, which is plain text or the API's JSON."""
    record = ndjson.parse_object(failure.encode("utf-8", "replace")) if failure.startswith("{") else None
    message = ndjson.text(ndjson.section(record, "error"), "message") if record is not None else None
    return ndjson.first_line(message or failure)


def _asked(item: ndjson.JsonObject) -> list[object]:
    """Return what the model wrote to call the tool, as far as the stream shows it."""
    return [item.get(key) for key in ("command", "changes", "arguments", "query")]


def _tool_calls(kind: str, item: ndjson.JsonObject) -> list[ToolCall]:
    if kind == "command_execution":
        return [ToolCall("shell", command=_command(ndjson.text(item, "command") or ""))]
    if kind == "file_change":
        changes = ndjson.sections(item, "changes")
        return [ToolCall("apply_patch", path=ndjson.text(change, "path")) for change in changes]
    return [ToolCall(ndjson.text(item, "tool") or kind)]


def _command(text: str) -> str:
    """Return the command as the model wrote it; codex shows it wrapped in a call of a shell."""
    plain = _PLAIN_CALL.fullmatch(text)
    if plain is not None:
        return plain[1]
    try:
        shell, flag, command = shlex.split(text)
    except ValueError:
        return text
    return command if _SHELL.fullmatch(shell) and flag in {"-lc", "-c"} else text
