"""Decide which results of an earlier run are reused, and why others are not.

The attempts of the history are fed to a new schedule in the order in which they were settled. An attempt is reused if
the schedule would start the same attempt now: same number, same trees, same fingerprint. The step of any other attempt
runs again, with all steps that depend on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.engine.run.fingerprint import changed_packages, differences
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
    from pytest_gump.order import Order
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.workflow.model import Step

IN_FLIGHT: Final = "it was running when the run ended"
REFUSED: Final = "its gates no longer pass"
ASKED: Final = "requested"


class Replay:
    """A run's history, replayed into a new schedule."""

    def __init__(
        self,
        schedule: ResumableSchedule,
        history: History,
        repository: Repository,
        *,
        identify: Callable[[Ready], Identity],
        on_reuse: Callable[[HistoryAttempt], None],
        until: StepPath | None = None,
        end_session: Callable[[ResumableSchedule], None] = lambda _: None,
    ) -> None:
        """Prepare the replay.

        Args:
            on_reuse: Called for each reused attempt, before the next attempt is checked.
            until: This step and all steps that depend on it run again.
            end_session: Called with the schedule after all attempts of a session have been checked.
        """
        self.schedule = schedule
        """Continues the run after the replay."""
        self.history = history
        self.reused: list[tuple[HistoryAttempt, Ready]] = []
        """Reused attempts, in the order in which they were settled."""
        self.reruns: dict[StepPath, str] = {}
        """Steps that run again, each with the reason."""
        self.undecided: list[HistoryAttempt] = []
        """Attempts of the same run that ended, but whose session ended before the decision."""
        self._repository = repository
        self._identify = identify
        self._on_reuse = on_reuse
        self._until = until
        self._end_session = end_session
        self._is_resumed = until is None
        """True if the same run continues, so that attempt numbers continue."""
        self._left_out = history.given_up | history.taken_back_by(until) if until is not None else set()
        """Numbers of attempts whose step ran again later; a new run reuses the later attempts instead."""
        self._ended = [attempt for attempt in history.open if attempt.has_ended]
        self._first: StepPath | None = None
        """The first step that runs again; other steps run again because of it."""

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of the reused attempts."""
        return frozenset(attempt.number for attempt in (*(attempt for attempt, _ in self.reused), *self.undecided))

    def run(self) -> Replay:
        """Feed all attempts to the schedule and return this object.

        Raises:
            RunError: The ledger was changed by another program.
        """
        self._repository.learn_trees(commit for attempt in self.history.attempts for commit in attempt.commits)
        seen: list[HistoryAttempt] = []
        for number, session in enumerate(self.history.sessions):
            seen += session
            for attempt in session:
                if attempt.number not in self._left_out:
                    self._check(attempt)
            if self._is_resumed:  # attempts that ended may be reused under their numbers
                self._number_on([*seen, *self.history.cut_off(number)], settled=seen)
            self.schedule.resume()
            self._end_session(self.schedule)
        for attempt in self.history.open:
            self._check_open(attempt)
        reused = {attempt.path for attempt, _ in self.reused}
        for path in [*self.reruns]:
            if path in reused and self.schedule.open_attempt(path) is None:
                del self.reruns[path]  # a later attempt of the step is reused
        return self

    # -- one attempt ---------------------------------------------------------------------------------------------

    def _offered(self, attempt: HistoryAttempt) -> Ready | None:
        """Return the attempt that the schedule would start now in place of this one, or None.

        Numbers of earlier attempts whose results were dropped are not used again.
        """
        ready = self.schedule.open_attempt(attempt.path)
        earlier = [other for other in self._ended if other.path == attempt.path and other.number < attempt.number]
        for other in earlier if self._is_resumed else ():
            if ready is not None and ready.attempt == other.attempt < attempt.attempt:
                self.schedule.count_from({}, [attempt.path])
                ready = self.schedule.open_attempt(attempt.path)
        return ready

    def _check(self, attempt: HistoryAttempt) -> None:
        ready = self._offered(attempt)
        if ready is not None and not self._is_resumed:
            attempt = attempt.numbered(ready.attempt)
        why = self._why_not(attempt, ready)
        if ready is None or (why is not None and not self._still_leads_back(attempt, ready)):
            self._not_reused(attempt.path, why or "")
        elif why is not None:
            self._not_reused(attempt.path, why, is_first=False)
            self._feed(attempt, ready, counts=False)
        else:
            self._feed(attempt, ready)
            self.reused.append((attempt, ready))
            self._on_reuse(attempt)

    def _still_leads_back(self, attempt: HistoryAttempt, ready: Ready) -> bool:
        """True if the attempt failed, earlier steps ran again because of it, and its own step was edited later.

        The results of the earlier steps are kept, although the failure no longer counts.
        """
        if not self._is_resumed or ready.attempt != attempt.attempt or attempt.number in self.history.refused:
            return False
        own = attempt.decisions.get(attempt.path)
        is_followed = own is None or _can_follow(ready.step, own)
        is_there = not is_moved(self._repository, attempt.started, ready) and self._lost(attempt) is None
        return is_followed and is_there and self.history.caused_reruns(attempt)

    def _why_not(self, attempt: HistoryAttempt, ready: Ready | None) -> str | None:
        if self._until is not None and self._until.contains(StepPath.parse(attempt.started["step"])):
            return ASKED
        if ready is None or not _is_same(attempt, ready):
            return self._follows()
        if attempt.number in self.history.refused:
            return REFUSED
        changed = changes(self._repository, attempt.started, ready, self._identify(ready))
        return f"{', '.join(changed)} changed" if changed else self._lost(attempt)

    def _lost(self, attempt: HistoryAttempt) -> str | None:
        """Return which commit of the attempt is gone from the repository; None if all exist."""
        for commit in attempt.left:
            try:
                self._repository.tree_of(commit)
            except WorktreeError:
                return f"its commit {commit[:10]} is gone from the repository"
        return None

    def _feed(self, attempt: HistoryAttempt, ready: Ready, *, counts: bool = True) -> None:
        if counts:
            self.reruns.pop(attempt.path, None)
        _, decided, result = attempt.settled
        self.schedule.start(attempt.path)
        if result.passed and result.gates_due:
            self.schedule.split(attempt.path, attempt.commit or ready.base)
        elif result.outcome is Outcome.QUOTA:
            self.schedule.repeat(attempt.path, decided.get("agent"))
            if decided["verdict"] == "failed":
                self._not_reused(ready.path, "it reached a usage limit", is_first=False)
        else:
            settled = self.schedule.replay(ready.path, result, attempt.commit, self._decide(attempt), counts=counts)
            if (
                (validated := settled.validated) is not None
                and validated.settled.verdict == "failed"
                and validated.result.outcome is not Outcome.GATE_ERROR  # then only validators run again
            ):
                self._not_reused(validated.ready.path, f"it failed: {validated.settled.outcome}", is_first=False)
            if settled.verdict == "failed" and result.outcome is not Outcome.PASSED:
                self._not_reused(ready.path, f"it failed: {settled.outcome}", is_first=False)

    def _decide(self, attempt: HistoryAttempt) -> Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]:
        recorded = attempt.all_decisions

        def decide(step: Step, path: StepPath, _failures: Sequence[Failure], own: Decision) -> Decision:
            decision = recorded.get(path, own)
            return decision if _can_follow(step, decision) else own

        return decide

    def _not_reused(self, path: StepPath, why: str, *, is_first: bool = True) -> None:
        self.reruns.setdefault(path, why)
        if is_first and self._first is None:
            self._first = path

    def _follows(self) -> str:
        return f"it follows {self._first}" if self._first is not None else "it follows a step that is not done"

    # -- the ends of sessions ------------------------------------------------------------------------------------

    def _number_on(self, known: Sequence[HistoryAttempt], *, settled: Sequence[HistoryAttempt]) -> None:
        """Number the attempts that run again above the existing ones; repeated ones keep their number."""
        highest: dict[StepPath, int] = {}
        for attempt in known:
            highest[attempt.path] = max(attempt.attempt, highest.get(attempt.path, 0))
        opened = [(path, self.schedule.open_attempt(path)) for path in highest]  # numbered as it would have been
        self.schedule.count_from(highest, ())
        reused = {attempt.number for attempt, _ in self.reused}
        repeated = {(attempt.path, attempt.attempt) for attempt in settled if attempt.number in reused}
        made = {(attempt.path, attempt.attempt) for attempt in settled} - repeated
        renewed = [path for path, ready in opened if ready is not None and (path, ready.attempt) in made]
        self.schedule.count_from({}, renewed)

    def _check_open(self, attempt: HistoryAttempt) -> None:
        ready = self._offered(attempt)
        if attempt.has_ended and ready is None and self._is_resumed:
            self.undecided.append(attempt)  # checked when its step starts
        elif ready is None or not _is_same(attempt, ready):
            self._not_reused(attempt.path, self._follows(), is_first=False)
        elif not attempt.has_ended:
            self._not_reused(attempt.path, IN_FLIGHT)
        elif (why := self._why_not(attempt, ready)) is not None:
            self._not_reused(attempt.path, why)
            if self._is_resumed:
                self.schedule.count_from({}, [attempt.path])
        else:
            self.undecided.append(attempt)


def replay(
    history: History,
    inputs: RunInputs,
    record: RunRecord,
    repository: Repository,
    *,
    on_reuse: Callable[[HistoryAttempt], None] | None = None,
    until: StepPath | None = None,
    end_session: Callable[[ResumableSchedule], None] = lambda _: None,
) -> Replay:
    """Replay a history into a new schedule.

    Args:
        record: Its attempts that are not reused are marked as superseded.
        on_reuse: By default, removes that mark from the reused attempt.
        until: See `Replay`.
        end_session: See `Replay`.

    Raises:
        RunError: The ledger was changed by another program.
    """

    def unmark(attempt: HistoryAttempt) -> None:
        record.attempts[attempt.number - 1].superseded = False

    for attempt in record.attempts:
        attempt.superseded = True
    schedule = ResumableSchedule(inputs.workflow, base=inputs.base)
    identify = OrderBuilder(inputs, record, repository).identify
    return Replay(
        schedule, history, repository,
        identify=identify, on_reuse=on_reuse or unmark, until=until, end_session=end_session,
    ).run()  # fmt: skip


def changes(repository: Repository, started: Event, now: Ready | Order, identity: Identity) -> list[str]:
    """Return what differs between an attempt's `attempt_started` event and the attempt that would start now."""
    moved = ["base tree"] if is_moved(repository, started, now) else []
    then = started.get("identity") or {}
    parts = differences(then, identity)
    if "package" in parts:
        parts[parts.index("package")] = changed_packages(then.get("package", ""), identity.get("package", ""))
    return [*parts, *moved]


def is_moved(repository: Repository, started: Event, now: Ready | Order) -> bool:
    """True if the attempt would start with different files now."""
    pairs = (started["base"], now.base), (started["step_base"], now.step_base)
    theirs = started.get("theirs") or now.theirs or "", now.theirs or ""
    return not all(_same_tree(repository, commit, other) for commit, other in (*pairs, theirs))


def _same_tree(repository: Repository, commit: str, other: str) -> bool:
    """True if both commits hold the same files; False if one of them is gone."""
    if commit == other:
        return True
    try:
        return repository.tree_of(commit) == repository.tree_of(other)
    except WorktreeError:
        return False


def _is_same(attempt: HistoryAttempt, ready: Ready) -> bool:
    """True if both have the same number, and are the same part of an attempt that a person has split."""
    are_gates = (attempt.started["entry"] == "gates", ready.entry == "gates")
    return ready.attempt == attempt.attempt and are_gates[0] is are_gates[1]


def _can_follow(step: Step, decision: Decision) -> bool:
    """True if the step, which may have been edited since, still allows the decision."""
    match decision:
        case Restart():
            return step.on_failure is not None and decision.step in step.on_failure.restart_targets
        case Replan():
            return step.kind == "agent"
        case _:
            return True
