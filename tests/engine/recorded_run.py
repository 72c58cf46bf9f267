"""A run with a ledger in memory, which can be killed after any event and resumed. Persons answer about its attempts."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.usage import NOTHING_USED, Usage
from pytest_gump.engine.record.approvals import Given
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.fold import advance, fold
from pytest_gump.engine.record.ledger import json_text
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.engine.resume.history import read_history
from pytest_gump.engine.resume.replay import Replay
from pytest_gump.engine.run.approvals import reviewed
from pytest_gump.engine.run.budget import limits_of, refusal
from pytest_gump.engine.run.fingerprint import differences, hashed
from pytest_gump.engine.run.journal import decision_fields, validated_fields
from pytest_gump.engine.run.order_builder import _are_gates_due
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire

from tests.engine.schedule_kit import own_policy, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_gump.engine.record.approvals import Question
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.engine.run.fingerprint import Identity
    from pytest_gump.engine.schedule.records import Ready, Settled
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath

MOST = 1_500
FAILURES = (Outcome.GATE_FAILED, Outcome.GATE_FAILED, Outcome.REVIEW_FAILED, Outcome.GUARD, Outcome.AGENT_ERROR)
FATAL = (Outcome.GATE_ERROR, Outcome.BUDGET)
BASE = "b" * 40


def number_of(*words: object) -> int:
    return zlib.crc32(repr(words).encode())


def commit_of(*words: object) -> str:
    return f"{number_of(*words):08x}" * 5


class Trees:
    """A substitute for the repository in which each commit is its own tree."""

    def tree_of(self, commit: str) -> str:
        return commit

    def learn_trees(self, _commits: Iterable[str]) -> None:
        """Do nothing."""


def identify(ready: Ready) -> Identity:
    if ready.mode == "merge":
        return {}
    return {"prompt": hashed((ready.step.prompt, ready.mode, ready.role)), "agent": hashed(ready.agent)}


def outcomes(seed: int, failing: int, *, fatal: int = 0) -> Callable[[StepPath, int], Outcome]:
    def outcome(path: StepPath, attempt: int) -> Outcome:
        chance = number_of(seed, str(path), attempt)
        if chance % 100 < fatal:
            return FATAL[chance % len(FATAL)]
        return FAILURES[chance // 100 % len(FAILURES)] if chance % 100 < failing else Outcome.PASSED

    return outcome


def killed_after(run: RecordedRun, events: int) -> Callable[[], bool]:
    most = len(run.events) + events
    return lambda: len(run.events) >= most


@dataclass
class RecordedRun:
    """A run with a ledger in memory. Its outcomes depend only on step and attempt."""

    workflow: Workflow
    outcome: Callable[[StepPath, int], Outcome]
    """The gates of an attempt that a person has approved get its negative number."""
    events: list[dict[str, Any]] = field(default_factory=list)
    schedule: ResumableSchedule = field(init=False)
    replay: Replay | None = None
    executors: int = 1
    approves: Callable[[str], bool] = lambda _: True
    """What a person says about the files or the plan of a step."""
    at_terminal: bool = True
    """True if the person answers at once; otherwise between two sessions."""
    cost: Callable[[StepPath, int], float] | None = None
    """Cost of an attempt in USD if no limit stops it; None if nothing has a cost."""
    record: RunRecord = field(default_factory=RunRecord)
    _paid: dict[int, AttemptResult] = field(default_factory=dict)
    """Results that limits decide, by the number of the attempt."""
    _undecided: dict[tuple[StepPath, int], HistoryAttempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schedule = ResumableSchedule(self.workflow, base=BASE)

    def append(self, event: str, **fields: Any) -> None:
        self.events.append(json.loads(json_text({"event": event, "at": float(len(self.events)), **fields})))
        assert is_event(self.events[-1]), self.events[-1]
        advance(self.record, self.events[-1])

    def run(self, until: Callable[[], bool] = lambda: False) -> RecordedRun:
        """Continue until the run ends or waits for a person, or until `until` is true, as if its session were killed."""
        flying: list[tuple[int, Ready]] = []
        while not self.schedule.done:
            for offered in self.schedule.ready(self.executors - len(flying)):
                ready = self._numbered(offered)
                self.schedule.start(ready.path)
                flying.append((self._begin(ready), ready))
                if until():
                    return self
            if not flying:
                stalled = self.schedule.end_if_stalled()
                assert stalled is not None, "a run that is not done offers at least one attempt"
                self.append("stalled", failed=[str(path) for path in stalled.failed])
                self._skip(stalled)
                break
            number, ready = flying.pop(0)
            for _ in self._end(number, ready):
                if until():
                    return self
            assert len(self.events) < MOST * 3
        return self

    def run_to_the_end(self) -> RecordedRun:
        """Continue, and resume after the answers of persons, until the run has passed or failed."""
        run = self.run()
        while run.schedule.is_awaiting:
            run.answer()
            run = run.resumed().run()
        return run

    def _begin(self, ready: Ready) -> int:
        known = self._known(ready)
        if known is not None:
            return int(known.number)
        number = len(self.record.attempts) + 1
        self.append(
            "attempt_started", number=number, step=str(ready.path), attempt=ready.attempt, mode=ready.mode,
            entry=ready.entry, base=ready.base, step_base=ready.step_base, agent=ready.agent, slot="w1",
            theirs=ready.theirs, identity=identify(ready),
        )  # fmt: skip
        self._paid[number] = self._pay(ready)
        return number

    def _pay(self, ready: Ready) -> AttemptResult:
        """Return the result of an attempt that its limits refuse or stop; otherwise only its cost."""
        result = AttemptResult(
            str(ready.path), ready.attempt, Outcome.PASSED, "", ready.agent, Timings(1.0, 1.0), usage=NOTHING_USED
        )
        if self.cost is None or ready.agent is None:
            return result
        limits = limits_of(self.workflow, ready.step, ready.path, self.record)
        refused, cost = refusal(self.workflow, self.record, limits), self.cost(ready.path, ready.attempt)
        if refused is not None:
            return replace(result, outcome=Outcome.BUDGET, reason=refused)
        if limits.max_budget is not None and cost >= limits.max_budget:
            result, cost = replace(result, outcome=Outcome.BUDGET), limits.max_budget
        return replace(result, usage=Usage(cost_usd=cost, provenance="reported", turns=1))

    def _numbered(self, ready: Ready) -> Ready:
        """Do the same as `ResumedRun.next`."""
        one = self._undecided.get((ready.path, ready.attempt))
        if one is None:
            return ready
        began = tuple(one.started[name] for name in ("base", "step_base", "theirs"))
        is_same = began == (ready.base, ready.step_base, ready.theirs)
        if is_same and not differences(one.started["identity"], identify(ready)):
            return ready
        del self._undecided[ready.path, ready.attempt]
        self.schedule.count_from({}, [ready.path])
        renewed = self.schedule.open_attempt(ready.path)
        assert renewed is not None
        return renewed

    def _known(self, ready: Ready) -> HistoryAttempt | None:
        """Do the same as `Reuse.result_of`."""
        return self._undecided.get((ready.path, ready.attempt))

    def _end(self, number: int, ready: Ready) -> Iterator[None]:
        known = self._known(ready)
        result = known.result if known is not None else None
        self._undecided.pop((ready.path, ready.attempt), None)
        if result is None:
            result = self._result(number, ready)
            self.append("attempt_finished", number=number, folder=None, result=to_wire(result))
            yield
        yield from self._settle(number, ready, result)

    def _settle(self, number: int, ready: Ready, result: AttemptResult) -> Iterator[None]:
        """Do the same as `Run.settle`, with the answer of the person at the terminal."""
        order: Any = SimpleNamespace(
            step=str(ready.path), attempt=ready.attempt, base=ready.base, step_base=ready.step_base, run_base=BASE
        )
        review: dict[str, Any] = {}
        if ready.step.approve is not None or ready.step.hitl is not None:
            repository: Any = Trees()
            question, result, review = reviewed(
                self.record, ready, order, result, repository=repository, now=float(len(self.events))
            )
            if question is not None:
                self.append("awaiting", **question._asdict())
                self.schedule.hold(ready.path)
                yield
                if self.at_terminal:
                    self._answer(question)
                    yield
                    self.schedule.release(ready.path)
                    yield from self._settle(number, ready, result)
                return
        commit = self._commit(ready, result)
        if result.passed and result.gates_due:
            settled = self.schedule.split(ready.path, commit)
        else:
            settled = self.schedule.complete(ready.path, result, commit, own_policy)
        if settled.verdict == "judged":
            self.append("attempt_judged", number=number, commit=commit)
        else:
            self.append(
                "decided", **decision_fields(number, settled, result, commit), head=self.schedule.head,
                replanned=str(settled.step) if settled.step else None, **review,
                **validated_fields(settled.validated, self._record_of),
            )  # fmt: skip
        yield
        for each in settled.settlements:
            self._skip(each)

    def _skip(self, settled: Settled) -> None:
        if settled.skipped:
            reason = settled.skip_reason or self.schedule.reason
            self.append("skipped", steps=[str(path) for path in settled.skipped], reason=reason)

    def _answer(self, question: Question) -> None:
        given = Given(self.approves(question.step + question.subject), by="Ada", text="No.")
        self.append("approval", **given.about(question))

    def answer(self) -> None:
        """Answer about all attempts that wait for a person, as with `gump approve`."""
        run: Any = SimpleNamespace(record=self.record)
        for question in run.record.open_questions:
            if self.record.approvals.answer_to(question) is None:
                self._answer(question)

    def _record_of(self, step: str, attempt: int) -> AttemptRecord:
        return next(one for one in reversed(self.record.attempts) if (one.step, one.attempt) == (step, attempt))

    def _commit(self, ready: Ready, result: AttemptResult) -> str:
        return result.snapshot if ready.mode in {"diff", "merge"} and result.snapshot is not None else ready.base

    def _result(self, number: int, ready: Ready) -> AttemptResult:
        paid = self._paid[number]
        if not paid.passed:
            return paid
        is_due, is_made = _are_gates_due(ready), ready.mode not in {"gate", "approve"}
        outcome = self.outcome(ready.path, -ready.attempt if ready.entry == "gates" else ready.attempt)
        if ready.mode == "approve":
            outcome = Outcome.PASSED
        elif ready.mode == "merge" and outcome is not Outcome.PASSED:
            outcome = Outcome.CONFLICT
        commit = commit_of(str(ready.path), ready.attempt, ready.base, ready.theirs, ready.step.prompt)
        return replace(
            paid, outcome=outcome, snapshot=commit if is_made else None, tree=commit if is_made else ready.base,
            plan=plan("u", "v") if ready.mode == "plan" and outcome is Outcome.PASSED else None,
            gates_due=is_due and outcome is Outcome.PASSED,
        )  # fmt: skip

    # -- resume --------------------------------------------------------------------------------------------------

    def resumed(self, workflow: Workflow | None = None, **changes: Any) -> RecordedRun:
        """Return the same run in a new session. Attempts in flight are recorded as killed."""
        again = replace(self, workflow=workflow or self.workflow, events=[*self.events], **changes)
        again.record, past = fold(again.events), read_history(again.events)
        for one in past.open:
            if one.finished is None:
                killed = replace(self._paid[one.number], outcome=Outcome.CRASHED, reason="killed")
                again.append("attempt_finished", number=one.number, folder=None, result=to_wire(killed))
                one.finished = again.events[-1]
        again.schedule = ResumableSchedule(again.workflow, base=BASE)
        replay = Replay(again.schedule, past, Trees(), identify=identify, on_reuse=lambda _: None)  # type: ignore[arg-type]
        again.replay = replay.run()
        again._undecided = {(one.path, one.attempt): one for one in again.replay.undecided}
        why = {str(path): text for path, text in again.replay.reruns.items()}
        again.append(
            "run_resumed", reused=sorted(again.replay.numbers), again=why, head=again.schedule.head, pid=1,
            pid_created=1.0, max_budget=None,
        )  # fmt: skip
        return again

    @property
    def ends(self) -> list[tuple[str, int, str]]:
        """Step, attempt and outcome of all attempts that were not killed."""
        results = [one["result"] for one in self.events if one["event"] == "attempt_finished"]
        return [(one["step"], one["attempt"], one["outcome"]) for one in results if one["outcome"] != "crashed"]

    def check_numbers(self) -> None:
        """Check that at most one attempt per step and number was not killed; a person may split it into two parts."""
        ended = (one for one in self.record.attempts if one.result and one.result.outcome is not Outcome.CRASHED)
        parts = Counter((one.step, one.attempt, one.entry == "gates") for one in ended)
        twice = [part for part, times in parts.items() if times > 1]
        assert not twice, twice
