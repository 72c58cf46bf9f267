"""Runs that are killed at any point and resumed, with and without edits: same result, and no passed attempt runs twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.resume.history import read_history
from pytest_gump.engine.resume.replay import Replay
from pytest_gump.engine.run.fingerprint import differences
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.order import Outcome
from pytest_gump.workflow.model import Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.recorded_run import BASE, RecordedRun, Trees, identify, killed_after, number_of, outcomes
from tests.engine.schedule.test_schedule_properties import workflows
from tests.engine.schedule_kit import agent, flat, group
from tests.kits.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DataObject
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.workflow.model import Step

SEEDS = st.integers(0, 10_000)
FAILING = st.sampled_from([0, 20, 50])


def rejecting(seed: int, share: int) -> Callable[[str], bool]:
    """Return a person who rejects this share of the questions, in percent."""
    return lambda subject: number_of(seed, subject) % 100 >= share


@examples(120)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 30), max_size=3), st.data())
def test_run_that_is_killed_several_times_has_the_result_of_an_undisturbed_run(
    workflow: Workflow, seed: int, failing: int, kills: list[int], data: DataObject
) -> None:
    executors, at_terminal = data.draw(st.sampled_from([1, 3])), data.draw(st.booleans())
    approves = rejecting(seed, data.draw(st.sampled_from([0, 30])))
    whole = RecordedRun(workflow, outcomes(seed, failing), executors=executors, approves=approves).run()
    run = RecordedRun(
        workflow, outcomes(seed, failing), executors=executors, approves=approves, at_terminal=at_terminal
    )
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.done and not run.schedule.is_awaiting:
            return  # the run ended before it was killed
        run.answer()
        run = run.resumed()
    run = run.run_to_the_end()
    run.check_numbers()
    if whole.schedule.passed or (executors == 1 and at_terminal):
        assert sorted(run.ends) == sorted(whole.ends)
        assert run.schedule.head == whole.schedule.head
        assert run.schedule.passed == whole.schedule.passed
    for leaf in run.schedule.leaves():
        assert run.record.steps[str(leaf.path)].status == leaf.status


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
    run = run.run_to_the_end()
    run.check_numbers()
    passing = run
    for _ in range(2):
        if passing.schedule.passed:
            break
        passing = passing.resumed(outcome=lambda *_: Outcome.PASSED).run_to_the_end()
        passing.check_numbers()
    assert passing.schedule.passed


def edited(step: Step, target: str, edit: str) -> Step:
    if step.name != target:
        steps, validators = (
            tuple(edited(one, target, edit) for one in below) for below in (step.steps, step.validators)
        )
        return replace(step, steps=steps, validators=validators)
    match edit:
        case "prompt":
            return replace(step, prompt="other")
        case "agent" if step.agent:
            return replace(step, agent="opus")
        case "policy":
            return replace(step, on_failure=None)
        case "person" if step.approve is None:
            return replace(step, hitl=None if step.hitl else "after_gate")
        case "validators":
            return replace(step, gate=(), validators=())
        case _:
            return step


def names(steps: tuple[Step, ...]) -> list[str]:
    return [name for step in steps for name in (step.name, *names((*step.steps, *step.validators)))]


@examples(100)
@given(workflows(), SEEDS, FAILING, st.lists(st.integers(1, 60), min_size=1, max_size=4), st.data())
def test_results_of_edited_steps_are_not_reused(
    workflow: Workflow, seed: int, failing: int, kills: list[int], data: DataObject
) -> None:
    executors, at_terminal = data.draw(st.sampled_from([1, 3])), data.draw(st.booleans())
    run = RecordedRun(workflow, outcomes(seed, failing, fatal=2), executors=executors, at_terminal=at_terminal)
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.passed:
            break
        if data.draw(st.booleans()):
            run.answer()
        target = data.draw(st.sampled_from(names(run.workflow.steps)))
        edit = data.draw(st.sampled_from(["prompt", "agent", "policy", "person", "validators", "nothing"]))
        changed = replace(run.workflow, steps=tuple(edited(one, target, edit) for one in run.workflow.steps))
        run = run.resumed(changed)
        assert run.replay is not None
        for one, ready in run.replay.reused:
            assert not differences(one.started["identity"], identify(ready))
            assert (one.path, one.attempt) == (ready.path, ready.attempt)
    run = run.run_to_the_end()
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
    run = replace(origin, events=[], record=RunRecord(), _paid={})
    run.schedule = ResumableSchedule(run.workflow, base=BASE)

    numbers: dict[int, int] = {}

    def copy(one: HistoryAttempt) -> None:
        numbers[one.number] = number = len(run.record.attempts) + 1
        finished, after, _ = one.settled
        if after.get("validated") is not None:
            after = {**after, "validated": {**after["validated"], "number": numbers[after["validated"]["number"]]}}
        for event in (one.started, finished, after):
            fields = {name: value for name, value in event.items() if name not in {"event", "at"}}
            run.append(event["event"], **{**fields, "number": number})

    def end_session(_: ResumableSchedule) -> None:
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
    copied = [(str(one.path), one.attempt, ready.entry == "gates") for one, ready in run.replay.reused]
    assert str(until) not in {step for step, *_ in copied}
    assert len({*copied}) == len(copied)
    again = run.resumed()
    assert again.replay is not None
    assert [(str(one.path), one.attempt, ready.entry == "gates") for one, ready in again.replay.reused] == copied
    assert again.schedule.ready() == run.schedule.ready()
    assert again.schedule.signature() == run.schedule.signature()
    run = run.run_to_the_end()
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


def test_a_run_starts_from_a_member_that_its_group_gave_up_with_another_one() -> None:
    workflow = Workflow(name="w", steps=(group("s", agent("a"), agent("b"), parallel=True, on_failure=flat(1)),))
    origin = RecordedRun(workflow, only({("s::a", 1): Outcome.GATE_FAILED, ("s::b", 1): Outcome.GATE_FAILED})).run()
    assert origin.events[-2]["failed"] == ["s::a"]
    run = start_from(origin, StepPath.parse("s::a"))
    assert [str(ready.path) for ready in run.schedule.ready()] == ["s::a"]
    assert [*run.record.steps] == ["s::b"]


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
