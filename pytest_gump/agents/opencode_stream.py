"""Reads the events of `opencode run --format json` (1.18, checked against recorded streams).

* There is no first event, no result and no name of the model: the session id is on every event, the run is good when
  its last `step_finish` says `stop`, there was no `error`, and the exit code is 0.
* A step is an answer of the model. Its tokens and its cost come with `step_finish`: input without what came from the
  cache, output without reasoning, each of this step alone, in resumed sessions too.
* A model without a price in the CLI's list costs 0: that is taken for unknown, and estimated.
* A tool call is one event, when it is over: refused ones have written nothing and name no path.
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
    from collections.abc import Iterable

    from pytest_gump.agents.base import Provenance, Task

CLI: Final = "opencode"

WRITING_TOOLS: Final = frozenset({"write", "edit", "multiedit"})
PATCH_TOOLS: Final = frozenset({"patch", "apply_patch"})
_PATCHED = re.compile(r"^\*\*\* (?:(?:Add|Update|Delete) File|Move to): (.+)$", re.MULTILINE)

# Only looked for in an error event: an agent may write such words about its work.
_QUOTA = re.compile(
    r"too many requests|rate.?limit|quota|usage limit|credit balance|insufficient.?(?:balance|funds|credit)",
    re.IGNORECASE,
)
QUOTA_STATUS: Final = (402, 429)

_REFUSED = re.compile(r"rejected permission|specified a rule which prevents", re.IGNORECASE)
_ASKED = re.compile(r"permission requested: (.*?)(?:; auto-rejecting)?$", re.MULTILINE)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

_LOST_SESSION: Final = "Session not found"

_NO_EVENTS: Final[tuple[Event, ...]] = ()


class OpencodeReader:
    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._model = model
        self._session_id: str | None = None
        self._step: str | None = None
        """The answer that has begun and is not finished."""
        self._turns = 0
        self._tool_calls = 0
        self._said: list[str] = []
        self._finished: str | None = None
        """Why the last answer ended."""
        self._errors: list[ndjson.JsonObject] = []
        self._bill = _Bill(model)
        self._notes = ndjson.Notes()

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        if not line.strip():
            return _NO_EVENTS
        record = ndjson.parse_object(line)
        if record is None:
            note = "a line of the stream is not a JSON object"
            return (Note(note),) if self._notes.add(note) else _NO_EVENTS
        events: list[Event] = []
        session_id = ndjson.text(record, "sessionID")
        if session_id is not None and self._session_id is None:
            self._session_id = session_id
            events.append(Started(session_id, self._model))
        kind, part = record.get("type"), ndjson.section(record, "part")
        if kind == "step_start":
            events += self._begin(part)
        elif kind == "text":
            self._said.append(ndjson.text(part, "text") or "")
            events.append(Text(self._said[-1]))
        elif kind == "tool_use":
            events += self._read_tool(part)
        elif kind == "step_finish":
            events += self._end(part)
        elif kind == "error":
            self._errors.append(ndjson.section(record, "error"))
            events.append(Note(_words(self._errors[-1])))
        return events

    def _begin(self, part: ndjson.JsonObject) -> Iterable[Event]:
        step = ndjson.text(part, "messageID") or ndjson.text(part, "id") or f"unnamed-{self._turns}"
        if step == self._step:
            return _NO_EVENTS
        self._step, self._finished = step, None
        self._said.clear()
        self._turns += 1
        return (Turn(self._turns),)

    def _end(self, part: ndjson.JsonObject) -> Iterable[Event]:
        if self._step is None:
            self._turns += 1
        self._step, self._finished = None, ndjson.text(part, "reason") or "unknown"
        self._bill.add(part)
        return (UsageSeen(self._usage()),)

    def _read_tool(self, part: ndjson.JsonObject) -> Iterable[Event]:
        self._tool_calls += 1
        tool, state = ndjson.text(part, "tool") or "?", ndjson.section(part, "state")
        arguments = ndjson.section(state, "input")
        error = ndjson.text(state, "error") or ""
        failed = state.get("status") != "completed"
        if tool == "invalid":
            tool, failed = ndjson.text(arguments, "tool") or tool, True
            self._notes.add(f"permission denied: {tool} is not offered")
        command = ndjson.text(arguments, "command") if tool == "bash" else None
        if failed and _REFUSED.search(error):
            what = ndjson.first_line(command or ndjson.text(arguments, "filePath") or "", limit=120)
            self._notes.add(f"permission denied: {tool}: {what}" if what else f"permission denied: {tool}")
        paths = _paths(tool, arguments) if not failed else []
        exit_code = ndjson.section(state, "metadata").get("exit")
        calls = [ToolCall(tool, path=path) for path in paths] or [ToolCall(tool, command=command)]
        return [*calls, ToolResult(is_error=failed or exit_code not in (None, 0))]

    # -- usage -----------------------------------------------------------------------------------------------------

    def _usage(self) -> Usage:
        return self._bill.usage(turns=self._turns, tool_calls=self._tool_calls)

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        stderr = _CONTROL.sub("", stderr)
        outcome, reason = self._judge(exit_code, stderr, stopped=stopped)
        for asked in _ASKED.findall(stderr):
            self._notes.add(f"permission denied: {ndjson.first_line(asked, limit=150)}")
        if self._step is not None:
            self._notes.add("the last answer was cut off: its tokens are not counted")
        session = None
        if self._session_id is not None:
            session = SessionRef(self._session_id, CLI, str(self._task.worktree))
        return Ending(
            outcome=outcome,
            reason=reason,
            message="\n".join(self._said),
            usage=self._usage(),
            session=session,
            model=self._model,
            notes=self._notes.taken(),
            lost_session=self._task.session is not None and self._session_id is None and _LOST_SESSION in reason,
        )

    def _judge(
        self, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Literal["ok", "agent_error", "quota"], str]:
        if stopped:
            return "agent_error", "stopped before it had finished"
        if self._errors:
            error = self._errors[-1]
            status = ndjson.section(error, "data").get("statusCode")
            quota = status in QUOTA_STATUS or _QUOTA.search(_words(error)) is not None
            return ("quota" if quota else "agent_error"), _words(error)
        tail = ndjson.last_line(stderr)
        if self._finished != "stop":
            why = f"after an answer that ended with {self._finished!r}" if self._finished else "without a final answer"
            reason = f"ended {why}, {ndjson.describe_exit(exit_code)}"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        if exit_code != 0:
            reason = f"{ndjson.describe_exit(exit_code)} after an answer that ended well"
            return "agent_error", f"{reason}: {tail}" if tail else reason
        return "ok", ""


class _Bill:
    """Sums what the steps report."""

    __slots__ = ("_cost_usd", "_estimated", "_model", "_tokens")

    def __init__(self, model: str | None) -> None:
        # The CLI's id is that of the provider behind a slash; the table of prices knows the provider's own.
        self._model = model.rpartition("/")[2] if model is not None else None
        self._tokens = Tokens()
        self._cost_usd: float | None = 0.0
        self._estimated = False

    def add(self, part: ndjson.JsonObject) -> None:
        counts = ndjson.section(part, "tokens")
        cache = ndjson.section(counts, "cache")
        tokens = Tokens(
            input=ndjson.count(counts, "input"),
            cache_read=ndjson.count(cache, "read"),
            cache_write=ndjson.count(cache, "write"),
            output=ndjson.count(counts, "output"),
            reasoning=ndjson.count(counts, "reasoning"),
        )
        self._tokens += tokens
        if self._cost_usd is None:
            return
        cost_usd = ndjson.number(part, "cost")
        if not cost_usd and tokens.total:
            cost_usd = prices.estimate_answer(self._model, tokens)
            self._estimated = True
        self._cost_usd = None if cost_usd is None else self._cost_usd + cost_usd

    def usage(self, *, turns: int, tool_calls: int) -> Usage:
        if self._cost_usd is None:
            return Usage(self._tokens, None, "unknown", turns, tool_calls)
        provenance: Provenance = "estimated" if self._estimated else "reported"
        return Usage(self._tokens, self._cost_usd, provenance, turns, tool_calls)


def _paths(tool: str, arguments: ndjson.JsonObject) -> list[str]:
    if tool in WRITING_TOOLS:
        path = ndjson.text(arguments, "filePath")
        return [] if path is None else [path]
    if tool in PATCH_TOOLS:
        return [path.strip() for path in _PATCHED.findall(ndjson.text(arguments, "patchText") or "")]
    return []


def _words(error: ndjson.JsonObject) -> str:
    data = ndjson.section(error, "data")
    name = ndjson.text(error, "name") or "error"
    words = ndjson.first_line(ndjson.text(data, "message") or ndjson.text(error, "message") or "")
    status = data.get("statusCode")
    label = f"{name} {status}" if isinstance(status, int) else name
    return f"{label}: {words}" if words else label
