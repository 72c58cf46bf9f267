"""Decides which results of an earlier run are reused, and why the others are not.

Past attempts are fed to a new schedule in the order in which they were settled. One holds if it is the very attempt
that the schedule would make now: same number, same trees, same identity. What does not hold is made again, and so is
everything that builds on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.run.fingerprint import differences
from pytest_gump.engine.run.order_builder import OrderBuilder
from pytest_gump.engine.schedule.decision import Replan, Restart
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.errors import WorktreeError
from pytest_gump.order import Outcome
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.resume.history import History, HistoryAttempt
    from pytest_gump.engine.run.fingerprint import Identity
    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.engine.schedule.decision import Decision, Failure
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.workflow.model import Step

IN_FLIGHT: Final = "it was under way when the run ended"
REFUSED: Final = "its gates do not pass any more"
ASKED: Final = "asked for"


@dataclass(slots=True)
class Reuse:
    """What became of the past."""

    reused: list[tuple[HistoryAttempt, Ready]] = field(default_factory=list)
    """In the order in which they were fed."""
    again: dict[StepPath, str] = field(default_factory=dict)
    """Why steps are made again."""
    undecided: list[HistoryAttempt] = field(default_factory=list)
    """Attempts that ended in the same run, but whose session ended before anything was decided."""

    @property
    def numbers(self) -> frozenset[int]:
        """Of the attempts that hold."""
        return frozenset(one.number for one, _ in self.reused) | {one.number for one in self.undecided}

    @property
    def results(self) -> dict[tuple[str, int], AttemptResult]:
        """Of the undecided attempts, by step and attempt."""
        return {(str(one.path), one.attempt): one.result for one in self.undecided if one.result is not None}


class ReuseCheck:
    def __init__(
        self,
        schedule: ResumableSchedule,
        past: History,
        repository: Repository,
        *,
        identify: Callable[[Ready], Identity],
        reuse: Callable[[HistoryAttempt], None],
        until: StepPath | None = None,
        end_session: Callable[[], None] = lambda: None,
    ) -> None:
        """`reuse` is told of each attempt that holds, before the next one is looked at; `until`, and all that follows
        from it, is made again. `end_session` is called when all attempts of a session were looked at.
        """
        self._schedule = schedule
        self._past = past
        self._repository = repository
        self._identify = identify
        self._reuse = reuse
        self._until = until
        self._end_session = end_session
        self._goes_on = until is None
        """In the same run: attempt numbers go on."""
        self._passed_over = past.given_up | past.taken_back_by(until) if until is not None else set()
        """Numbers of attempts whose step was made anew later, which a new run takes over in their place."""
        self._undecided = [one for one in past.open if one.has_ended]
        self._taken = Reuse()
        self._first: StepPath | None = None
        """The first step that is made again: what else is, follows from it."""

    def run(self) -> Reuse:
        """Feed all of the past to the schedule.

        Raises:
            RunError: the ledger holds what no version of ours has written.
        """
        self._repository.learn_trees(commit for one in self._past.attempts for commit in one.commits)
        seen: list[HistoryAttempt] = []
        for number, session in enumerate(self._past.sessions):
            seen += session
            for one in session:
                if one.number not in self._passed_over:
                    self._take(one)
            if self._goes_on:  # what ended may hold: its number comes again
                self._number_on([*seen, *self._past.cut_off(number)], settled=seen)
            self._schedule.resume()
            self._end_session()
        for one in self._past.open:
            self._look_at_open(one)
        reused = {one.path for one, _ in self._taken.reused}
        for path in [*self._taken.again]:
            if path in reused and self._schedule.open_attempt(path) is None:
                del self._taken.again[path]  # a later attempt of it holds
        return self._taken

    # -- one attempt ---------------------------------------------------------------------------------------------

    def _offered(self, one: HistoryAttempt) -> Ready | None:
        """What the schedule would make now in the place of an attempt; results that were dropped keep their numbers."""
        ready = self._schedule.open_attempt(one.path)
        earlier = [other for other in self._undecided if other.path == one.path and other.number < one.number]
        for other in earlier if self._goes_on else ():
            if ready is not None and ready.attempt == other.attempt < one.attempt:
                self._schedule.count_from({}, [one.path])
                ready = self._schedule.open_attempt(one.path)
        return ready

    def _take(self, one: HistoryAttempt) -> None:
        ready = self._offered(one)
        if ready is not None and not self._goes_on:
            one = one.numbered(ready.attempt)
        why = self._why_not(one, ready)
        if ready is None or (why is not None and not self._still_leads_back(one, ready)):
            self._not_reused(one.path, why or "")
        elif why is not None:
            self._not_reused(one.path, why, is_first=False)
            self._feed(one, ready, counts=False)
        else:
            self._feed(one, ready)
            self._taken.reused.append((one, ready))
            self._reuse(one)

    def _still_leads_back(self, one: HistoryAttempt, ready: Ready) -> bool:
        """Whether an attempt of a step that was edited since failed, and the steps before it were made anew for that:
        what they became is kept, though the failure counts no more.
        """
        if not self._goes_on or ready.attempt != one.attempt or one.number in self._past.refused:
            return False
        own = one.decisions.get(one.path)
        is_followed = own is None or _can_follow(ready.step, own)
        is_there = not is_moved(self._repository, one.started, ready) and self._lost(one) is None
        return is_followed and is_there and self._past.caused_reruns(one)

    def _why_not(self, one: HistoryAttempt, ready: Ready | None) -> str | None:
        if self._until is not None and self._until.contains(StepPath.parse(one.started["step"])):
            return ASKED
        if ready is None or ready.attempt != one.attempt:
            return self._follows()
        if one.number in self._past.refused:
            return REFUSED
        changed = changes(self._repository, one.started, ready, self._identify(ready))
        return f"{', '.join(changed)} changed" if changed else self._lost(one)

    def _lost(self, one: HistoryAttempt) -> str | None:
        """What of the attempt is gone from the repository; None when all is there."""
        for commit in one.left:
            try:
                self._repository.tree_of(commit)
            except WorktreeError:
                return f"its commit {commit[:10]} is gone from the repository"
        return None

    def _feed(self, one: HistoryAttempt, ready: Ready, *, counts: bool = True) -> None:
        if counts:
            self._taken.again.pop(one.path, None)
        _, decided, result = one.settled
        schedule = self._schedule
        schedule.start(one.path)
        if result.outcome is Outcome.QUOTA:
            schedule.repeat(one.path, decided.get("agent"))
            if decided["verdict"] == "failed":
                self._not_reused(ready.path, "it met a usage limit", is_first=False)
        else:
            settled = schedule.replay(ready.path, result, one.commit, self._decide(one), counts=counts)
            if settled.verdict == "failed" and result.outcome is not Outcome.PASSED:
                self._not_reused(ready.path, f"it failed: {settled.outcome}", is_first=False)

    def _decide(self, one: HistoryAttempt) -> Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]:
        recorded = one.decisions

        def decide(step: Step, path: StepPath, _failures: Sequence[Failure], own: Decision) -> Decision:
            decision = recorded.get(path, own)
            return decision if _can_follow(step, decision) else own

        return decide

    def _not_reused(self, path: StepPath, why: str, *, is_first: bool = True) -> None:
        self._taken.again.setdefault(path, why)
        if is_first and self._first is None:
            self._first = path

    def _follows(self) -> str:
        return f"it follows {self._first}" if self._first is not None else "it follows what is not done"

    # -- the ends of sessions ------------------------------------------------------------------------------------

    def _number_on(self, known: Sequence[HistoryAttempt], *, settled: Sequence[HistoryAttempt]) -> None:
        """Let what is made again have attempt numbers above those that there are; what is repeated keeps its own."""
        highest: dict[StepPath, int] = {}
        for one in known:
            highest[one.path] = max(one.attempt, highest.get(one.path, 0))
        opened = [(path, self._schedule.open_attempt(path)) for path in highest]  # numbered as it would have been
        self._schedule.count_from(highest, ())
        reused = {one.number for one, _ in self._taken.reused}
        repeated = {(one.path, one.attempt) for one in settled if one.number in reused}
        made = {(one.path, one.attempt) for one in settled} - repeated
        renewed = [path for path, ready in opened if ready is not None and (path, ready.attempt) in made]
        self._schedule.count_from({}, renewed)

    def _look_at_open(self, one: HistoryAttempt) -> None:
        ready = self._offered(one)
        if one.has_ended and ready is None and self._goes_on:
            self._taken.undecided.append(one)  # whether it holds will be seen
        elif ready is None or ready.attempt != one.attempt:
            self._not_reused(one.path, self._follows(), is_first=False)
        elif not one.has_ended:
            self._not_reused(one.path, IN_FLIGHT)
        elif (why := self._why_not(one, ready)) is not None:
            self._not_reused(one.path, why)
            self._schedule.count_from({}, [one.path])
        else:
            self._taken.undecided.append(one)


@dataclass(frozen=True, slots=True)
class Replay:
    """A run's history after its replay: the schedule that continues it, and what of it is reused."""

    history: History
    schedule: ResumableSchedule
    reuse: Reuse


def replay(
    history: History,
    inputs: RunInputs,
    record: RunRecord,
    repository: Repository,
    *,
    reuse: Callable[[HistoryAttempt], None] | None = None,
    until: StepPath | None = None,
    end_session: Callable[[], None] = lambda: None,
) -> Replay:
    """Replay a history into a new schedule.

    Args:
        record: the attempts that do not hold are marked as superseded in it.
        reuse: called for every attempt that holds. By default its mark is removed.
        until: see `ReuseCheck`.
        end_session: see `ReuseCheck`.

    Raises:
        RunError: the ledger holds what no version of ours has written.
    """

    def mark(attempt: HistoryAttempt) -> None:
        record.attempts[attempt.number - 1].superseded = False

    for one in record.attempts:
        one.superseded = True
    schedule = ResumableSchedule(inputs.workflow, base=inputs.base)
    identify = OrderBuilder(inputs, record, repository).identify
    check = ReuseCheck(
        schedule, history, repository, identify=identify, reuse=reuse or mark, until=until, end_session=end_session
    )
    return Replay(history, schedule, check.run())


def changes(repository: Repository, started: Event, now: Ready | Order, identity: Identity) -> list[str]:
    """What differs between an attempt, as its `attempt_started` tells, and the one that would be made now."""
    moved = ["base tree"] if is_moved(repository, started, now) else []
    return [*differences(started.get("identity") or {}, identity), *moved]


def is_moved(repository: Repository, started: Event, now: Ready | Order) -> bool:
    """Whether an attempt would begin with other files than it did."""
    pairs = (started["base"], now.base), (started["step_base"], now.step_base)
    theirs = started.get("theirs") or now.theirs or "", now.theirs or ""
    return not all(_same_tree(repository, one, other) for one, other in (*pairs, theirs))


def _same_tree(repository: Repository, one: str, other: str) -> bool:
    """Whether two commits hold the same files; a commit that is gone holds none that could be compared."""
    if one == other:
        return True
    try:
        return repository.tree_of(one) == repository.tree_of(other)
    except WorktreeError:
        return False


def _can_follow(step: Step, decision: Decision) -> bool:
    """Whether the workflow, which may have been edited since, still knows what was decided."""
    match decision:
        case Restart():
            return step.on_failure is not None and decision.step in step.on_failure.restart_targets
        case Replan():
            return step.kind == "agent"
        case _:
            return True
