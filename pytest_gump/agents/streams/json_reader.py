"""Base class of the stream readers: lines become records, records become events, the end becomes an `Ending`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from pytest_gump.agents import prices
from pytest_gump.agents.base import Ending, Event, Note, SessionRef, Started, ToolCall, Turn
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.refusals import Refusals
from pytest_gump.agents.streams.resets import stated_reset
from pytest_gump.agents.usage import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_gump.agents.base import Task
    from pytest_gump.agents.usage import Usage

    Handlers = Mapping[str, Callable[[ndjson.JsonObject], Iterable[Event]]]

Outcome = Literal["ok", "agent_error", "quota"]
Limit = Literal["max_turns", "max_budget"]

NO_EVENTS: Final[tuple[Event, ...]] = ()

_TYPE: Final = b'{"type":"'
_KIND: Final = len(_TYPE)

_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class CliFailure:
    """A failure that the CLI itself reports."""

    reason: str
    quota: bool = False
    message: str = ""
    """The whole message; the reason may be only a part of it."""
    resets_at: float | None = None
    """When the limit resets, in seconds since the epoch; None if no field or header contains it."""


class ToolNames(NamedTuple):
    """Which tools of a CLI write files or run commands, and the names of their arguments."""

    writing: frozenset[str]
    commands: frozenset[str]
    paths: tuple[str, ...]

    def call(self, tool: str, arguments: ndjson.JsonObject) -> ToolCall:
        if tool in self.writing:
            return ToolCall(tool, path=next(filter(None, (ndjson.text(arguments, key) for key in self.paths)), None))
        return ToolCall(tool, command=ndjson.text(arguments, "command") if tool in self.commands else None)


class JsonReader:
    """Reads a stream of JSON objects with a `type`, with one method for each known type.

    A subclass defines these methods (`_handlers`), the usage (`_usage`), the failure that the CLI reports (`_failure`)
    and whether the final event has arrived (`_unfinished`). The last two and the exit code decide the outcome.
    """

    CLI: ClassVar[str]
    GOOD_END: ClassVar[str] = "a successful result"
    NOISE: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    """Start of lines on stderr that are never the reason for a failure."""
    LOST_SESSION: ClassVar[tuple[str, ...]] = ()
    """Messages of the CLI if it cannot find the conversation to resume or to fork."""

    def __init__(self, task: Task, model: str | None = None) -> None:
        self._task = task
        self._model = model
        self._session_id: str | None = None
        self._started = False
        self._turns = 0
        self._tool_calls = 0
        self._context_tokens = 0
        """Largest context of an answer."""
        self._retries = 0
        self._waiting: CliFailure | None = None
        """The usage limit that the CLI waits for, if that is its last record."""
        self._message = ""
        self._notes = ndjson.Notes()
        self._refusals = Refusals()
        self._kinds = self._handlers()
        self._by_bytes = {kind.encode(): read for kind, read in self._kinds.items()}

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, line: bytes) -> Iterable[Event]:
        read = None
        if line.startswith(_TYPE):
            read = self._by_bytes.get(line[_KIND : line.find(b'"', _KIND)])
            if read is None and self._started and line.endswith(b"}"):
                return NO_EVENTS  # not parsed: with a CLI that prints answers in pieces, most lines are ignored
        self._waiting = None
        record = ndjson.parse_object(line)
        if record is None:
            return self._stray(line) if line.strip() else NO_EVENTS
        events = self._read(record) if read is None else read(record)
        return events if self._started else [*self._first(record), *events]

    def _read(self, record: ndjson.JsonObject) -> Iterable[Event]:
        kind = record.get("type")
        read = self._kinds.get(kind) if isinstance(kind, str) else None
        return NO_EVENTS if read is None else read(record)

    def _first(self, _record: ndjson.JsonObject) -> Iterable[Event]:
        """Return the start event if a record implies it. Called until the start is reported."""
        return NO_EVENTS

    def _stray(self, _line: bytes) -> Iterable[Event]:
        return self._note("a line of the stream is not a JSON object")

    def _note(self, note: str) -> Iterable[Event]:
        return (Note(note),) if self._notes.add(note) else NO_EVENTS

    def _start(self, session_id: str | None, model: str | None = None) -> Iterable[Event]:
        self._session_id = session_id or self._session_id
        if self._started:
            return NO_EVENTS
        self._started = True
        self._model = model or self._model
        return (Started(self._session_id, self._model),)

    def _turn(self) -> Turn:
        self._turns += 1
        return Turn(self._turns)

    def _record_context(self, tokens: Tokens) -> None:
        """Record the context of one answer in the main conversation. Do not pass sums or tokens of subagents."""
        self._context_tokens = max(self._context_tokens, tokens.read)

    def _price(self, model: str | None, tokens: Tokens, answers: int = 1) -> float | None:
        return prices.estimate_answers(prices.priced_as(model, self.CLI), tokens, answers)

    @property
    def _counts(self) -> tuple[int, int, int]:
        """Turns, tool calls and context tokens, in the order of `Usage`."""
        return self._turns, self._tool_calls, self._context_tokens

    @property
    def ended(self) -> bool:
        """True once the final event has arrived: the CLI only has to exit."""
        return self._unfinished() is None

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        stderr = _CONTROL.sub("", stderr)
        failure = self._limit_waited_for(stderr) if stopped else self._failure()
        outcome, reason = self._decide(failure, exit_code, stderr, stopped=stopped)
        self._conclude(stderr)
        if self._refusals:
            self._notes.add(self._refusals.note(may_run=not self._task.read_only))
        return Ending(
            outcome=outcome,
            reason=reason,
            message=self._final_message(),
            usage=self._usage(),
            session=self._session(),
            model=self._model,
            notes=self._notes.taken(),
            limit=None if stopped else self._limit(exit_code),
            lost_session=not stopped and self._lost_session(f"{reason}\n{stderr}"),
            resets_at=_reset_of(failure) if failure is not None and failure.quota else None,
        )

    def _decide(
        self, failure: CliFailure | None, exit_code: int | None, stderr: str, *, stopped: bool
    ) -> tuple[Outcome, str]:
        if stopped and failure is None:
            return "agent_error", "stopped before it finished"
        if failure is not None:
            return ("quota" if failure.quota else "agent_error"), failure.reason
        unfinished = self._unfinished()
        if unfinished is None and exit_code == 0:
            return "ok", ""
        reason = f"{ndjson.describe_exit(exit_code)} {unfinished or f'after {self.GOOD_END}'}"
        tail = self._last_words(stderr)
        return "agent_error", f"{reason}: {tail}" if tail else reason

    def _limit_waited_for(self, _stderr: str) -> CliFailure | None:
        """Return the usage limit that a stopped CLI was waiting for; None if it was doing something else."""
        return self._waiting

    def _lost_session(self, errors: str) -> bool:
        """True if the CLI did not find the conversation. False after the start, when an agent may write such words."""
        resumed = self._task.session is not None and not self._started
        return resumed and any(said in errors for said in self.LOST_SESSION)

    def _session(self) -> SessionRef | None:
        if not self._started or self._session_id is None:
            return None
        cost_usd, tokens = self._session_totals()
        return SessionRef(self._session_id, self.CLI, str(self._task.worktree), cost_usd, tokens)

    def _session_totals(self) -> tuple[float | None, Tokens]:
        """Running totals of the conversation, so that a later resume can subtract them."""
        return None, Tokens()

    def _conclude(self, _stderr: str) -> None:
        """Add the notes that are known only at the end."""
        if self._retries:
            self._notes.add(f"{self._retries} API retries" if self._retries > 1 else "1 API retry")

    def _final_message(self) -> str:
        return self._message

    def _last_words(self, stderr: str) -> str:
        """Return the reason for a failure that is not on the stream."""
        return ndjson.last_line("\n".join(self._lines(stderr)))

    def _lines(self, stderr: str) -> list[str]:
        return [line for line in stderr.splitlines() if line.strip() and self.NOISE.match(line.strip()) is None]

    def _limit(self, _exit_code: int | None) -> Limit | None:
        return None

    # -- defined for each CLI --------------------------------------------------------------------------------------

    def _handlers(self) -> Handlers:
        """Return the methods that read events, by `type`; events of other types are ignored."""
        raise NotImplementedError

    def _usage(self) -> Usage:
        raise NotImplementedError

    def _failure(self) -> CliFailure | None:
        raise NotImplementedError

    def _unfinished(self) -> str | None:
        """Return what the stream lacks: `without a result`; None if the final event has arrived."""
        raise NotImplementedError


def _reset_of(failure: CliFailure) -> float | None:
    return failure.resets_at or stated_reset(failure.message or failure.reason, time.time())
