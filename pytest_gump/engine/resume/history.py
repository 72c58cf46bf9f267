"""The attempts of a stored run, in the order in which they were settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.approvals import with_review
from pytest_gump.engine.record.fold import validated_event
from pytest_gump.engine.record.ledger import DAMAGED
from pytest_gump.engine.schedule.decision import Restart, Retry, from_fields
from pytest_gump.errors import RunError
from pytest_gump.order import AttemptResult, Outcome, from_wire
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.schedule.decision import Decision

_SAY_NOTHING: Final = frozenset({Outcome.CANCELLED, Outcome.CRASHED})
"""Outcomes that, if no decision follows, show only that the session ended."""


@dataclass(slots=True)
class HistoryAttempt:
    started: Event
    finished: Event | None = None
    judged: Event | None = None
    """Its gates passed, and its validators began; None if its step has no validators."""
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
        """The result; None for an attempt that was running when its session was killed.

        Raises:
            RunError: The ledger was changed by another program.
        """
        if self._result is None and self.finished is not None:
            try:
                self._result = from_wire(AttemptResult, with_review(self.finished["result"], self.decided))
            except ValueError as error:
                message = f"cannot read the result of attempt {self.attempt} of {self.path} in the ledger"
                raise RunError(message, hint=DAMAGED) from error
        return self._result

    @property
    def settled(self) -> tuple[Event, Event, AttemptResult]:
        """The events of the attempt's end and of what followed, and its result.

        If the step has validators, the next event is the one with which they began.

        Raises:
            RunError: The attempt has not ended, or is undecided.
        """
        after = self.judged or self.decided
        if self.finished is None or after is None or self.result is None:
            raise _misfit(self.started)
        return self.finished, after, self.result

    def numbered(self, attempt: int) -> HistoryAttempt:
        """Return the attempt with another number in its step, for a new run."""
        if attempt == self.attempt:
            return self
        finished = self.finished
        if finished is not None:
            finished = {**finished, "result": {**finished["result"], "attempt": attempt}}
        return HistoryAttempt({**self.started, "attempt": attempt}, finished, self.judged, self.decided)

    @property
    def has_ended(self) -> bool:
        """True if the attempt ended by itself, not with its session."""
        result = self.result
        if result is None or self.decided is not None:
            return result is not None
        return result.outcome not in _SAY_NOTHING and not result.never_started

    @property
    def commit(self) -> str | None:
        """Commit of the tree after the attempt, if it was decided, or if its validators began."""
        after = self.judged or self.decided
        return None if after is None else after.get("commit")

    @property
    def left(self) -> tuple[str, ...]:
        """The commits that were created from the attempt."""
        snapshot = self.result.snapshot if self.result is not None else None
        return tuple(commit for commit in (self.commit, snapshot) if commit is not None)

    @property
    def commits(self) -> tuple[str, ...]:
        """All commits of the attempt, including its bases."""
        return (self.started["base"], self.started["step_base"], *self.left)

    @property
    def decisions(self) -> dict[StepPath, Decision]:
        """The decisions after it, by the step or group that made them.

        Raises:
            RunError: The ledger was changed by another program.
        """
        return self._read_decisions(self.decided)

    @property
    def all_decisions(self) -> dict[StepPath, Decision]:
        """Like `decisions`, with those about the attempt whose last validator ended with this one."""
        validated = None if self.decided is None else self.decided.get("validated")
        return self.decisions | self._read_decisions(validated)

    def _read_decisions(self, event: Event | None) -> dict[StepPath, Decision]:
        recorded = {} if event is None else event.get("decisions", ())
        try:
            return {StepPath.parse(fields["scope"]): from_fields(fields) for fields in recorded}
        except (KeyError, TypeError, ValueError) as error:
            message = f"cannot read the decisions after attempt {self.attempt} of {self.path} in the ledger"
            raise RunError(message, hint=DAMAGED) from error


@dataclass(slots=True)
class History:
    """The history of a run. Each resume started a new session.

    A run that starts from a step of another run includes the sessions of that run before its own.
    """

    sessions: list[list[HistoryAttempt]] = field(default_factory=lambda: [[]])
    """Attempts of each session that were settled or whose validators began, in order."""
    attempts: list[HistoryAttempt] = field(default_factory=list)
    """All attempts by number, from 1."""
    refused: set[int] = field(default_factory=set)
    """Numbers of the attempts whose gates no longer passed when the run was resumed."""
    given_up: set[int] = field(default_factory=set)
    """Numbers of the attempts that the newest resume after them did not reuse."""
    reused: list[frozenset[int]] = field(default_factory=list)
    """Numbers of the reused attempts at the start of each session except the first."""
    approvals: list[Event] = field(default_factory=list)
    """The answers that approved an attempt."""
    begun: list[int] = field(default_factory=list)
    """Number of attempts at the start of each session except the first."""

    def add(self, event: Event) -> None:
        """Add the next event of the run.

        Raises:
            RunError: The event names an attempt that never started.
        """
        match event["event"]:
            case "attempt_started":
                self.attempts.append(HistoryAttempt(event))
                if event["number"] != len(self.attempts):
                    raise _misfit(event)
            case "attempt_finished":
                self._attempt(event).finished = event
            case "attempt_judged":
                attempt = self._attempt(event)
                attempt.judged = event
                self.sessions[-1].append(attempt)
            case "decided":
                attempt = self._attempt(event)
                attempt.decided, attempt._result = event, None  # noqa: SLF001 - the decision may change the result
                self.sessions[-1].append(attempt)
                if event.get("validated") is not None:
                    self._attempt(event["validated"]).decided = validated_event(event)
            case "approval" if event["approved"]:
                self.approvals.append(event)
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
        """The attempts without a decision whose validators have not begun."""
        return [attempt for attempt in self.attempts if attempt.decided is None and attempt.judged is None]

    def cut_off(self, number: int) -> list[HistoryAttempt]:
        """Return the attempts that were running when this session or an earlier one ended."""
        most = self.begun[number] if number < len(self.begun) else len(self.attempts)
        return [attempt for attempt in self.open if attempt.number <= most and not attempt.has_ended]

    def taken_back_by(self, scope: StepPath) -> set[int]:
        """Return the numbers of the attempts whose steps ran again because of failures in `scope`."""
        settled = [attempt for session in self.sessions for attempt in session]
        taken_back: set[int] = set()
        for index, attempt in enumerate(settled):
            if scope.contains(StepPath.parse(attempt.started["step"])):
                taken_back |= _rerun_after(settled, index)
        return taken_back

    def caused_reruns(self, attempt: HistoryAttempt) -> bool:
        """True if the attempt, or a later one of its step, failed and caused other steps to run again."""
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
    """Return the numbers of the attempts whose steps ran again because of the later attempt at `index`."""
    zones = [*_zones(settled[index])]
    later = {other.path for other in settled[index + 1 :]} if zones else set()
    return {
        other.number
        for other in settled[:index]
        if other.path in later and any(not zone.names or zone.contains(other.path) for zone in zones)
    }


def _zones(attempt: HistoryAttempt) -> Iterator[StepPath]:
    """Yield the groups whose steps may run again because of the decision after an attempt."""
    for scope, decision in attempt.decisions.items():
        if isinstance(decision, Restart):
            yield StepPath(scope.names[:-1], scope.items)
        elif isinstance(decision, Retry) and scope != attempt.path:
            yield scope


def read_history(events: Iterable[Event]) -> History:
    """Read the history of a run from its events.

    Raises:
        RunError: An event names an attempt that never started.
    """
    history = History()
    for event in events:
        history.add(event)
    return history


def _misfit(event: Event) -> RunError:
    return RunError(
        f"attempt number {event['number']} in the ledger is out of order",
        hint=DAMAGED,
    )
