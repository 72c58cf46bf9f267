"""The attempts of a stored run, in the order in which they ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.decision import Restart, Retry, from_fields
from pytest_gump.errors import RunError
from pytest_gump.order import AttemptResult, Outcome, from_wire
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.schedule.decision import Decision

_SAY_NOTHING: Final = frozenset({Outcome.CANCELLED, Outcome.CRASHED})
"""Outcomes that, while nothing was decided, tell only how the session ended."""


@dataclass(slots=True)
class HistoryAttempt:
    started: Event
    finished: Event | None = None
    decided: Event | None = None
    _result: AttemptResult | None = field(default=None, repr=False)

    @property
    def number(self) -> int:
        return int(self.started["number"])

    @property
    def path(self) -> StepPath:
        return StepPath.parse(self.started["step"])

    @property
    def attempt(self) -> int:
        return int(self.started["attempt"])

    @property
    def key(self) -> tuple[str, int]:
        """Step and attempt."""
        return str(self.path), self.attempt

    @property
    def result(self) -> AttemptResult | None:
        """None for an attempt that was in flight when its session was killed.

        Raises:
            RunError: the ledger holds what no version of ours has written.
        """
        if self._result is None and self.finished is not None:
            try:
                self._result = from_wire(AttemptResult, self.finished["result"])
            except ValueError as error:
                message = f"cannot read what the ledger tells of attempt {self.attempt} of {self.path}"
                raise RunError(message, hint="the ledger was changed by something else") from error
        return self._result

    @property
    def settled(self) -> tuple[Event, Event, AttemptResult]:
        """Its end, what was decided after it, and its result.

        Raises:
            RunError: it has not come to that.
        """
        if self.finished is None or self.decided is None or self.result is None:
            raise _misfit(self.started)
        return self.finished, self.decided, self.result

    def numbered(self, attempt: int) -> HistoryAttempt:
        """The same as another attempt of its step, for a run of its own."""
        if attempt == self.attempt:
            return self
        finished = self.finished
        if finished is not None:
            finished = {**finished, "result": {**finished["result"], "attempt": attempt}}
        return HistoryAttempt({**self.started, "attempt": attempt}, finished, self.decided)

    @property
    def has_ended(self) -> bool:
        """Whether the attempt came to an end of its own."""
        result = self.result
        if result is None or self.decided is not None:
            return result is not None
        return result.outcome not in _SAY_NOTHING and not result.never_started

    @property
    def commit(self) -> str | None:
        """Where the tree stood after it."""
        return None if self.decided is None else self.decided.get("commit")

    @property
    def left(self) -> tuple[str, ...]:
        """The commits that it made, or that were made of it."""
        snapshot = self.result.snapshot if self.result is not None else None
        return tuple(commit for commit in (self.commit, snapshot) if commit is not None)

    @property
    def commits(self) -> tuple[str, ...]:
        """All that it tells of, its bases among them."""
        return (self.started["base"], self.started["step_base"], *self.left)

    @property
    def decisions(self) -> dict[StepPath, Decision]:
        """What was decided after it, by the step or group that was asked."""
        recorded = {} if self.decided is None else self.decided.get("decisions", ())
        try:
            return {StepPath.parse(fields["scope"]): from_fields(fields) for fields in recorded}
        except (KeyError, TypeError, ValueError) as error:
            message = f"cannot read what the ledger tells was decided after attempt {self.attempt} of {self.path}"
            raise RunError(message, hint="the ledger was changed by something else") from error


@dataclass(slots=True)
class History:
    """The history of a run. Each resume started a new session. A run that starts from a step of
    another run keeps the sessions of that run, and begins a new one after them.
    """

    sessions: list[list[HistoryAttempt]] = field(default_factory=lambda: [[]])
    """What was settled in each, in this order."""
    attempts: list[HistoryAttempt] = field(default_factory=list)
    """By their number, from 1 on."""
    refused: set[int] = field(default_factory=set)
    """Numbers of the attempts whose gates did not pass any more when the run was resumed."""
    given_up: set[int] = field(default_factory=set)
    """Numbers of the attempts that did not hold when the run was last resumed after them."""
    reused: list[frozenset[int]] = field(default_factory=list)
    """Numbers of the attempts that held when each session but the first began."""
    begun: list[int] = field(default_factory=list)
    """How many attempts there were then."""

    def add(self, event: Event) -> None:
        """Add the next event of the run.

        Raises:
            RunError: it names an attempt that never began.
        """
        match event["event"]:
            case "attempt_started":
                self.attempts.append(HistoryAttempt(event))
                if event["number"] != len(self.attempts):
                    raise _misfit(event)
            case "attempt_finished":
                self._attempt(event).finished = event
            case "decided":
                attempt = self._attempt(event)
                attempt.decided = event
                self.sessions[-1].append(attempt)
            case "run_resumed" | "session_copied":
                self.sessions.append([])
                self.reused.append(frozenset(event["reused"]))
                self.begun.append(len(self.attempts))
                self._give_up_except(event["reused"])
            case "reuse_refused":
                self.refused.add(event["number"])
                self.reused[-1:] = [frozenset(event["reused"])] if self.reused else []
                self._give_up_except(event["reused"])
            case _:
                pass

    def _attempt(self, event: Event) -> HistoryAttempt:
        if not 0 < event["number"] <= len(self.attempts):
            raise _misfit(event)
        attempt: HistoryAttempt = self.attempts[event["number"] - 1]
        return attempt

    def _give_up_except(self, reused: Iterable[int]) -> None:
        self.given_up = {*range(1, len(self.attempts) + 1)} - {*reused}

    @property
    def open(self) -> list[HistoryAttempt]:
        """The attempts after which nothing was decided."""
        return [attempt for attempt in self.attempts if attempt.decided is None]

    def cut_off(self, number: int) -> list[HistoryAttempt]:
        """Attempts that were in flight when a session ended, or one before it."""
        most = self.begun[number] if number < len(self.begun) else len(self.attempts)
        return [attempt for attempt in self.open if attempt.number <= most and not attempt.has_ended]

    def taken_back_by(self, scope: StepPath) -> set[int]:
        """Numbers of the attempts that run again because of failures at a place."""
        settled = [attempt for session in self.sessions for attempt in session]
        taken_back: set[int] = set()
        for index, attempt in enumerate(settled):
            if scope.contains(StepPath.parse(attempt.started["step"])):
                taken_back |= _rerun_after(settled, index)
        return taken_back

    def caused_reruns(self, attempt: HistoryAttempt) -> bool:
        """Whether an attempt, or the next ones of its step, failed and made other steps run again."""
        number = next(number for number, session in enumerate(self.sessions) if attempt in session)
        lasted = takewhile(lambda reused: attempt.number in reused, self.reused[number:])
        settled = [other for session in self.sessions[number : number + 1 + len([*lasted])] for other in session]
        for index in range(settled.index(attempt), len(settled)):
            other = settled[index]
            if other.path != attempt.path:
                continue
            if other.result is not None and other.result.passed:
                return False
            if _rerun_after(settled, index):
                return True
        return False


def _rerun_after(settled: Sequence[HistoryAttempt], index: int) -> set[int]:
    """Numbers of the attempts whose steps ran again because of one that was settled after them."""
    zones = [*_zones(settled[index])]
    later = {other.path for other in settled[index + 1 :]} if zones else set()
    return {
        other.number
        for other in settled[:index]
        if other.path in later and any(not zone.names or zone.contains(other.path) for zone in zones)
    }


def _zones(attempt: HistoryAttempt) -> Iterator[StepPath]:
    """Where steps may have been entered again by the decision after an attempt."""
    for scope, decision in attempt.decisions.items():
        if isinstance(decision, Restart):
            yield StepPath(scope.names[:-1], scope.items)
        elif isinstance(decision, Retry) and scope != attempt.path:
            yield scope


def read_history(events: Iterable[Event]) -> History:
    """Read the history of a run from its events.

    Raises:
        RunError: an event names an attempt that never began.
    """
    history = History()
    for event in events:
        history.add(event)
    return history


def _misfit(event: Event) -> RunError:
    return RunError(
        f"the ledger tells of attempt number {event['number']} out of turn",
        hint="the file was changed by something else",
    )
