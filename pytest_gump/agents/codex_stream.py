"""Reads the `--json` output of `codex exec` (0.169, checked against recorded streams).

* One `turn` of the stream is the whole run. Answers of the model are not marked in it; here one begins with the first
  item, with reasoning or a message after anything else, and with a tool that starts when none is running. So several
  tools that one answer called are several answers, and an answer of which nothing is shown (a patch that the sandbox
  refused) is none.
* `turn.completed` holds the only usage: cumulative over resumed and forked runs of the thread, input with cached
  tokens, output with reasoning. Before it, and without it, tokens are estimated from what was said.
* An `error` line is a retry or the word before `turn.failed`; an item of the type `error` is a warning.
"""

from __future__ import annotations

import re
import shlex
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
from pytest_gump.agents.claude_usage import characters_of, tokens_grown
from pytest_gump.agents.estimate import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Provenance, Task

CLI: Final = "codex"

TOOLS: Final = frozenset({"command_execution", "file_change", "mcp_tool_call", "web_search", "collab_tool_call"})

# Only looked for in the failure that the CLI reports: an agent may write such words about its work.
_QUOTA: Final = re.compile(
    r"\b429\b|too many requests|rate limit|usage limit|quota|insufficient_quota|out of credits|credit balance",
    re.IGNORECASE,
)
_RETRY: Final = re.compile(r"Reconnecting\.\.\. ", re.ASCII)
_SHELL: Final = re.compile(r"(?:\S*/)?(?:ba|z|da)?sh", re.ASCII)
_PLAIN_CALL: Final = re.compile(_SHELL.pattern + r" -l?c '([^']*)'", re.ASCII)

_LOST_SESSION: Final = "no rollout found"

_NO_EVENTS: Final[tuple[Event, ...]] = ()

_Phase = Literal["none", "thinking", "message", "tool"]


class CodexReader:
    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._model = model
        self._talk = Conversation(model, task.prompt)
        self._session_id: str | None = None
        self._phase: _Phase = "none"
        self._running: set[str] = set()
        self._tool_calls = 0
        self._message = ""
        self._reported: Tokens | None = None
        """The running total of the thread."""
        self._failure: str | None = None
        self._ended: Literal["completed", "failed"] | None = None
        self._last_error = ""
        self._retries = 0
        self._notes = ndjson.Notes()

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return _NO_EVENTS
        record = ndjson.parse_object(line)
        if record is None:
            return self._note("a line of the stream is not a JSON object")
        kind = record.get("type")
        if kind in ("item.started", "item.completed"):
            return self._read_item(ndjson.section(record, "item"), done=kind == "item.completed")
        if kind == "thread.started":
            again, self._session_id = self._session_id, ndjson.text(record, "thread_id") or self._session_id
            return (Started(self._session_id, self._model),) if again is None else _NO_EVENTS
        if kind == "turn.completed":
            return self._read_usage(record)
        if kind == "turn.failed":
            self._ended = "failed"
            self._failure = ndjson.text(ndjson.section(record, "error"), "message")
            return _NO_EVENTS
        return self._read_error(record) if kind == "error" else _NO_EVENTS

    def _note(self, note: str) -> Iterable[Event]:
        return (Note(note),) if self._notes.add(note) else _NO_EVENTS

    def _read_error(self, record: ndjson.JsonObject) -> Iterable[Event]:
        message = ndjson.first_line(ndjson.text(record, "message") or "unknown error")
        if _RETRY.match(message) is None:
            self._last_error = message
            return _NO_EVENTS
        self._retries += 1
        return (Note(message),)

    def _read_item(self, item: ndjson.JsonObject, *, done: bool) -> Iterable[Event]:
        kind = item.get("type")
        if isinstance(kind, str) and kind in TOOLS:
            return self._read_tool(kind, item, done=done)
        if not done:
            return _NO_EVENTS
        words = ndjson.text(item, "text") or ""
        if kind == "agent_message":
            events = self._answer("message", goes_on=self._phase == "thinking")
            self._message = words
            self._talk.said(len(words))
            return [*events, Text(words), *self._seen()]
        if kind == "reasoning":
            events = self._answer("thinking", goes_on=self._phase == "thinking")
            self._talk.said(len(words))
            return events
        if kind == "error":
            return self._note(ndjson.first_line(ndjson.text(item, "message") or "unknown warning"))
        return _NO_EVENTS

    def _answer(self, phase: _Phase, *, goes_on: bool) -> list[Event]:
        """Go to the next phase; the event of a new answer unless the one before goes on."""
        self._phase = phase
        if goes_on or self._running:
            return []
        self._talk.answer()
        return [Turn(self._talk.answers)]

    def _read_tool(self, kind: str, item: ndjson.JsonObject, *, done: bool) -> Iterable[Event]:
        key = ndjson.text(item, "id") or "unnamed"
        events: list[Event] = []
        if key not in self._running:
            events += self._answer("tool", goes_on=self._phase in {"thinking", "message"})
            self._running.add(key)
            self._tool_calls += 1
            calls = _tool_calls(kind, item)
            self._talk.said(characters_of(_asked(item)))
            events += [*calls, *self._seen()]
        if done:
            self._running.discard(key)
            self._talk.heard(len(ndjson.text(item, "aggregated_output") or ""))
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
        return (UsageSeen(self._usage()),)

    def _seen(self) -> Iterable[Event]:
        """The estimate so far; after what the CLI reported there is nothing to add."""
        return (UsageSeen(self._usage()),) if self._reported is None else _NO_EVENTS

    def _usage(self) -> Usage:
        if self._reported is None:
            return self._talk.usage(tool_calls=self._tool_calls)
        before = self._task.session
        mine = self._reported if before is None else tokens_grown(self._reported, before.tokens)
        cost_usd = prices.estimate_answers(self._model, mine, self._talk.answers)
        provenance: Provenance = "unknown" if cost_usd is None else "estimated"
        return Usage(mine, cost_usd, provenance, self._talk.answers, self._tool_calls)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        if self._retries:
            self._notes.add(f"{self._retries} API retries" if self._retries > 1 else "1 API retry")
        for line in stderr.splitlines():
            _, found, why = line.partition("codex_core::tools::router: error=")
            if found:
                self._notes.add(f"tool refused: {ndjson.first_line(why, limit=160)}")
        return Ending(
            outcome=outcome,
            reason=reason,
            message=self._message,
            usage=self._usage(),
            session=self._session(),
            model=self._model,
            notes=self._notes.taken(),
            lost_session=self._task.session is not None and self._session_id is None and _LOST_SESSION in reason,
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        if self._ended == "failed":
            reason = _words(self._failure or self._last_error) or "the turn failed for no stated reason"
            return ("quota" if _QUOTA.search(reason) else "agent_error"), reason
        tail = self._last_error or ndjson.last_line(stderr)
        if self._ended is None:
            reason = f"ended without turn.completed, {ndjson.describe_exit(exit_code)}"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after turn.completed"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""

    def _session(self) -> SessionRef | None:
        """The thread with its running total, estimated where the run did not come to report one."""
        if self._session_id is None:
            return None
        before = self._task.session
        earlier = before.tokens if before is not None else Tokens()
        total = self._reported if self._reported is not None else earlier + self._talk.tokens
        return SessionRef(self._session_id, CLI, str(self._task.worktree), tokens=total)


def _words(failure: str) -> str:
    """The message of a failure, which is told as prose or as the API's JSON."""
    told = ndjson.parse_object(failure.encode("utf-8", "replace")) if failure.startswith("{") else None
    message = ndjson.text(ndjson.section(told, "error"), "message") if told is not None else None
    return ndjson.first_line(message or failure)


def _asked(item: ndjson.JsonObject) -> list[object]:
    """What the model had to write to call the tool, as far as it is shown."""
    return [item.get(key) for key in ("command", "changes", "arguments", "query")]


def _tool_calls(kind: str, item: ndjson.JsonObject) -> list[ToolCall]:
    if kind == "command_execution":
        return [ToolCall("shell", command=_command(ndjson.text(item, "command") or ""))]
    if kind == "file_change":
        changes = ndjson.sections(item, "changes")
        return [ToolCall("apply_patch", path=ndjson.text(change, "path")) for change in changes]
    return [ToolCall(ndjson.text(item, "tool") or kind)]


def _command(words: str) -> str:
    """The command as the model wrote it: codex shows it as a call of a shell."""
    plain = _PLAIN_CALL.fullmatch(words)
    if plain is not None:
        return plain[1]
    try:
        shell, flag, command = shlex.split(words)
    except ValueError:
        return words
    return command if _SHELL.fullmatch(shell) and flag in {"-lc", "-c"} else words
