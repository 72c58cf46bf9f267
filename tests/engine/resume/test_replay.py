"""Runs that are killed at any point and resumed, with and without edits: same result, and no passed attempt runs twice."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.record.event_schema import is_event
from pytest_gump.engine.record.ledger import json_text
from pytest_gump.engine.record.records import AttemptRecord
from pytest_gump.engine.resume.history import read_history
from pytest_gump.engine.resume.replay import Replay
from pytest_gump.engine.run.fingerprint import differences, hashed
from pytest_gump.engine.run.journal import decision_fields, validated_fields
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.workflow.model import Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule.test_schedule_properties import workflows
from tests.engine.schedule_kit import agent, flat, group, own_policy, plan
from tests.kits.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import DataObject
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.engine.run.fingerprint import Identity
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.model import Step

MOST = 1_500
FAILURES = (Outcome.GATE_FAILED, Outcome.GATE_FAILED, Outcome.REVIEW_FAILED, Outcome.GUARD, Outcome.AGENT_ERROR)
FATAL = (Outcome.GATE_ERROR, Outcome.BUDGET)


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


@dataclass
class RecordedRun:
    """A run with a ledger in memory. Its outcomes depend only on step and attempt."""

    workflow: Workflow
    outcome: Callable[[StepPath, int], Outcome]
    events: list[dict[str, Any]] = field(default_factory=list)
    schedule: ResumableSchedule = field(init=False)
    replay: Replay | None = None
    executors: int = 1
    _undecided: dict[tuple[StepPath, int], HistoryAttempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schedule = ResumableSchedule(self.workflow, base="b" * 40)

    def append(self, event: str, **fields: Any) -> None:
        self.events.append(json.loads(json_text({"event": event, "at": float(len(self.events)), **fields})))
        assert is_event(self.events[-1]), self.events[-1]

    def run(self, until: Callable[[], bool] = lambda: False) -> RecordedRun:
        """Continue to the end, or until `until` is true, as if the session were killed."""
        flying: list[tuple[int, Ready]] = []
        while not self.schedule.done:
            for offered in self.schedule.ready(self.executors - len(flying)):
                ready = self._numbered(offered)
                self.schedule.start(ready.path)
                flying.append((self._begin(ready), ready))
                if until():
                    return self
            assert flying, "a run that is not done offers at least one attempt"
            number, ready = flying.pop(0)
            for _ in self._end(number, ready):
                if until():
                    return self
            assert len(self.events) < MOST * 3
        return self

    def _begin(self, ready: Ready) -> int:
        known = self._known(ready)
        if known is not None:
            return int(known.number)
        number: int = sum(one["event"] == "attempt_started" for one in self.events) + 1
        self.append(
            "attempt_started", number=number, step=str(ready.path), attempt=ready.attempt, mode=ready.mode,
            entry=ready.entry, base=ready.base, step_base=ready.step_base, agent=ready.agent, slot="w1",
            theirs=ready.theirs, identity=identify(ready),
        )  # fmt: skip
        return number

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

    def _end(self, number: int, ready: Ready) -> Any:
        known = self._known(ready)
        result = known.result if known is not None else None
        self._undecided.pop((ready.path, ready.attempt), None)
        if result is None:
            result = self._result(ready)
            self.append("attempt_finished", number=number, folder=None, result=to_wire(result))
            yield
        commit = self._commit(ready, result)
        settled = self.schedule.complete(ready.path, result, commit, own_policy)
        if settled.verdict == "judged":
            self.append("attempt_judged", number=number, commit=commit)
        else:
            self.append(
                "decided", **decision_fields(number, settled, result, commit), head=self.schedule.head,
                replanned=str(settled.step) if settled.step else None,
                **validated_fields(settled.validated, self._record_of),
            )  # fmt: skip
        yield

    def _record_of(self, step: str, attempt: int) -> AttemptRecord:
        begun = (event for event in reversed(self.events) if event["event"] == "attempt_started")
        number = next(event["number"] for event in begun if (event["step"], event["attempt"]) == (step, attempt))
        return AttemptRecord(number, step, attempt, "diff", None, "first", 0.0)

    def _commit(self, ready: Ready, result: AttemptResult) -> str:
        return str(result.snapshot) if ready.mode in {"diff", "merge"} else ready.base

    def _result(self, ready: Ready) -> AttemptResult:
        outcome = self.outcome(ready.path, ready.attempt)
        if ready.mode == "merge" and outcome is not Outcome.PASSED:
            outcome = Outcome.CONFLICT
        commit = commit_of(str(ready.path), ready.attempt, ready.base, ready.theirs, ready.step.prompt)
        is_plan = ready.mode == "plan" and outcome is Outcome.PASSED
        return AttemptResult(
            str(ready.path), ready.attempt, outcome, "", ready.agent, Timings(1.0, 1.0), snapshot=commit, tree=commit,
            plan=plan("u", "v") if is_plan else None,
        )  # fmt: skip

    # -- resume --------------------------------------------------------------------------------------------------

    def resumed(self, workflow: Workflow | None = None, **changes: Any) -> RecordedRun:
        """Return the same run in a new session. Attempts in flight are recorded as killed."""
        again = replace(self, workflow=workflow or self.workflow, events=[*self.events], **changes)
        past = read_history(again.events)
        for one in past.open:
            if one.finished is None:
                result = AttemptResult(
                    str(one.path), one.attempt, Outcome.CRASHED, "killed", one.started["agent"], Timings(1.0, 1.0)
                )
                again.append("attempt_finished", number=one.number, folder=None, result=to_wire(result))
                one.finished = again.events[-1]
        again.schedule = ResumableSchedule(again.workflow, base="b" * 40)
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
        """Check that at most one attempt per step and number was not killed."""
        twice = [
            place for place, times in Counter((step, attempt) for step, attempt, _ in self.ends).items() if times > 1
        ]
        assert not twice, twice


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


SEEDS = st.integers(0, 10_000)
FAILING = st.sampled_from([0, 20, 50])


@examples(80)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 30), max_size=3), st.sampled_from([1, 3]))
def test_run_that_is_killed_several_times_has_the_result_of_an_undisturbed_run(
    workflow: Workflow, seed: int, failing: int, kills: list[int], executors: int
) -> None:
    whole = RecordedRun(workflow, outcomes(seed, failing), executors=executors).run()
    run = RecordedRun(workflow, outcomes(seed, failing), executors=executors)
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.done:
            return  # the run ended before it was killed
        run = run.resumed()
        assert run.replay is not None
    run.run()
    run.check_numbers()
    if whole.schedule.passed or executors == 1:
        assert sorted(run.ends) == sorted(whole.ends)
        assert run.schedule.head == whole.schedule.head
        assert run.schedule.passed == whole.schedule.passed


@examples(80)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 60), min_size=1, max_size=4), st.sampled_from([1, 3]))
def test_resumed_failed_run_repeats_no_attempt_and_can_pass(
    workflow: Workflow, seed: int, failing: int, kills: list[int], executors: int
) -> None:
    run = RecordedRun(workflow, outcomes(seed, failing, fatal=3), executors=executors)
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.passed:
            break
        before = run.ends
        run = run.resumed()
        assert run.ends == before
        assert not run.schedule.done
    run.run()
    run.check_numbers()
    passing = run
    for _ in range(2):
        if passing.schedule.passed:
            break
        passing = passing.resumed(outcome=lambda *_: Outcome.PASSED).run()
        passing.check_numbers()
    assert passing.schedule.passed


def edited(step: Step, target: str, edit: str) -> Step:
    if step.name != target:
        return replace(step, steps=tuple(edited(one, target, edit) for one in step.steps))
    match edit:
        case "prompt":
            return replace(step, prompt="other")
        case "agent" if step.agent:
            return replace(step, agent="opus")
        case "policy":
            return replace(step, on_failure=None)
        case _:
            return step


def names(steps: tuple[Step, ...]) -> list[str]:
    return [name for step in steps for name in (step.name, *names(step.steps))]


@examples(100)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 60), min_size=1, max_size=4), st.data())
def test_results_of_edited_steps_are_not_reused(
    workflow: Workflow, seed: int, failing: int, kills: list[int], data: DataObject
) -> None:
    run = RecordedRun(workflow, outcomes(seed, failing, fatal=2), executors=data.draw(st.sampled_from([1, 3])))
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.passed:
            break
        target = data.draw(st.sampled_from(names(run.workflow.steps)))
        edit = data.draw(st.sampled_from(["prompt", "agent", "policy", "nothing"]))
        changed = replace(run.workflow, steps=tuple(edited(one, target, edit) for one in run.workflow.steps))
        run = run.resumed(changed)
        assert run.replay is not None
        for one, ready in run.replay.reused:
            assert not differences(one.started["identity"], identify(ready))
            assert (one.path, one.attempt) == (ready.path, ready.attempt)
    run.run()
    run.check_numbers()


@examples(150)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 60), min_size=2, max_size=4), st.data())
def test_attempts_after_an_edit_are_reused(
    workflow: Workflow, seed: int, failing: int, kills: list[int], data: DataObject
) -> None:
    run = RecordedRun(workflow, outcomes(seed, failing))
    run.run(killed_after(run, kills[0]))
    if run.schedule.passed:
        return
    target = data.draw(st.sampled_from(names(run.workflow.steps)))
    changed = replace(workflow, steps=tuple(edited(one, target, "prompt") for one in workflow.steps))
    run = run.resumed(changed)
    for events in kills[1:]:
        assert run.replay is not None
        held = [(one.path, one.attempt) for one, _ in run.replay.reused]
        run.run(killed_after(run, events))
        settled = read_history(run.events).sessions[-1]
        if run.schedule.passed:
            break
        run = run.resumed()
        assert run.replay is not None
        again = [(one.path, one.attempt) for one, _ in run.replay.reused]
        assert again == [*held, *((one.path, one.attempt) for one in settled)]


def start_from(origin: RecordedRun, until: StepPath) -> RecordedRun:
    """Return a new run with the attempts of the origin before a step, as from `ResumedRun.start_from`."""
    run = replace(origin, events=[])
    run.schedule = ResumableSchedule(run.workflow, base="b" * 40)

    def copy(one: HistoryAttempt) -> None:
        number = sum(event["event"] == "attempt_started" for event in run.events) + 1
        for event in (one.started, one.finished, one.decided):
            assert event is not None
            fields = {name: value for name, value in event.items() if name not in {"event", "at"}}
            run.append(event["event"], **{**fields, "number": number})

    def end_session() -> None:
        copied = [event["number"] for event in run.events if event["event"] == "attempt_started"]
        run.append("session_copied", reused=copied)

    past = read_history(origin.events)
    run.replay = Replay(
        run.schedule, past, Trees(), identify=identify, on_reuse=copy, until=until, end_session=end_session,  # type: ignore[arg-type]
    ).run()  # fmt: skip
    return run


@examples(80)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 60), max_size=2), st.data())
def test_run_from_a_step_has_the_earlier_attempts_and_can_be_resumed(
    workflow: Workflow, seed: int, failing: int, kills: list[int], data: DataObject
) -> None:
    origin = RecordedRun(workflow, outcomes(seed, failing))
    for events in kills:
        origin.run(killed_after(origin, events))
        if not origin.schedule.passed:
            origin = origin.resumed(outcome=outcomes(seed + 1, failing))
    origin.run()
    before = [*origin.events]
    known = sorted({StepPath.parse(step) for step, _, _ in origin.ends})
    until = data.draw(st.sampled_from(known))
    run = start_from(origin, until)
    assert run.replay is not None
    copied = [(str(one.path), one.attempt) for one, _ in run.replay.reused]
    assert str(until) not in {step for step, _ in copied}
    assert len({*copied}) == len([*copied])
    again = run.resumed()
    assert again.replay is not None
    assert [(str(one.path), one.attempt) for one, _ in again.replay.reused] == copied
    assert again.schedule.ready() == run.schedule.ready()
    assert again.schedule.signature() == run.schedule.signature()
    run.run()
    run.check_numbers()
    assert origin.events == before


PARALLEL = Workflow(name="w", steps=(agent("s0"), group("s1", agent("x0"), agent("x1"), parallel=True)))


def only(failing: dict[tuple[str, int], Outcome]) -> Callable[[StepPath, int], Outcome]:
    return lambda path, attempt: failing.get((str(path), attempt), Outcome.PASSED)


def test_failed_merge_remains_failed_in_a_resumed_run_from_a_later_step() -> None:
    failing = {("s0", 1): Outcome.GATE_FAILED, ("s1::merge[x0]", 1): Outcome.CONFLICT}
    origin = RecordedRun(PARALLEL, only(failing)).run().resumed().run()
    run = start_from(origin, StepPath.parse("s1::merge[x1]"))
    again = run.resumed()
    assert [str(one.path) for one in run.schedule.ready()] == ["s1::merge[x1]"]
    assert again.schedule.ready() == run.schedule.ready()
    assert again.schedule.signature() == run.schedule.signature()
    assert again.replay is not None
    assert not again.replay.reruns


def test_failure_that_ended_the_origin_does_not_reopen_failures_of_a_run_from_a_step() -> None:
    origin = RecordedRun(PARALLEL, only({("s1::x1", 1): Outcome.GATE_ERROR}), executors=3).run()
    run = start_from(origin, StepPath.parse("s1::x0"))
    run.outcome, run.executors = only({("s1::x0", 1): Outcome.GATE_FAILED}), 1
    run.run(lambda: run.events[-1]["event"] == "decided")
    assert run.ends[-1] == ("s1::x0", 1, "gate_failed")
    again = run.resumed()
    assert [str(one.path) for one in run.schedule.ready()] == ["s1::x1"]
    assert again.schedule.ready() == run.schedule.ready()
    again.run()
    again.check_numbers()


@examples(80)
@given(st.integers(2, 5), SEEDS, FAILING, st.integers(0, 4), st.integers(1, 30))
def test_attempts_before_the_first_edit_are_reused(count: int, seed: int, failing: int, place: int, cut: int) -> None:
    steps = tuple(agent(f"s{number}", on_failure=flat(3, "same: 3")) for number in range(count))
    workflow = Workflow(name="w", steps=steps)
    run = RecordedRun(workflow, outcomes(seed, failing))
    run.run(killed_after(run, cut))
    started = {one["number"]: one["step"] for one in run.events if one["event"] == "attempt_started"}
    passed = [started[one["number"]] for one in run.events if one.get("verdict") == "passed"]
    target = steps[place % count].name
    changed = replace(workflow, steps=tuple(edited(step, target, "prompt") for step in steps))
    again = run.resumed(changed)
    assert again.replay is not None
    reused = {str(one.path) for one, _ in again.replay.reused if one.result is not None and one.result.passed}
    assert reused == {step for step in passed if step < target}
