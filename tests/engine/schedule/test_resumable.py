"""Taking up a run where it ended: past attempts, fed again, give a schedule that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.gates.base import GateResult
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule.test_schedule_properties import FAILURES, Walk, outcomes, workflows
from tests.engine.schedule_kit import Done, agent, ended, flat, gate, group, own_policy, plan
from tests.kits.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DataObject
    from pytest_gump.engine.schedule.decision import Decision
    from pytest_gump.engine.schedule.records import Settled
    from pytest_gump.workflow.model import Workflow

MOST = 2_000


def fold(workflow: Workflow, dones: Sequence[Done], settled: Sequence[Settled]) -> ResumableSchedule:
    schedule = ResumableSchedule(workflow, base="base")
    feed(schedule, dones, settled)
    schedule.resume()
    return schedule


def feed(schedule: ResumableSchedule, dones: Sequence[Done], settled: Sequence[Settled]) -> None:
    for done, one in zip(dones, settled, strict=True):
        recorded: dict[StepPath, Decision] = dict(one.decisions)
        ready = schedule.open_attempt(done.path)
        if ready is not None and ready.attempt == done.attempt:
            schedule.start(done.path)
            schedule.replay(*done, lambda _, path, __, own, known=recorded: known.get(path, own))  # type: ignore[misc]


def first_failure(workflow: Workflow, whole: Walk) -> int:
    """How many attempts had ended when the run failed."""
    schedule = Schedule(workflow, base="base")
    ended = iter(enumerate(whole.settled))
    for event in whole.events:
        if isinstance(event, Done):
            number, settled = next(ended)
            recorded = dict(settled.decisions)
            schedule.complete(*event, lambda _, path, __, own, known=recorded: known.get(path, own))  # type: ignore[misc]
            if schedule.reason:
                return number
        else:
            schedule.start(event)
    return len(whole.dones)


def walk(workflow: Workflow, data: DataObject, executors: int) -> Walk:
    random = data.draw(st.randoms(use_true_random=False))
    return Walk(workflow, outcomes(data), executors=executors, pick=random.randrange).run()


@pytest.mark.slow
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
@examples(200)
def test_a_run_that_was_cut_off_goes_on_as_if_nothing_had_been(
    workflow: Workflow, data: DataObject, executors: int
) -> None:
    whole = walk(workflow, data, executors)
    failed = first_failure(workflow, whole)
    ends = [place for place, event in enumerate(whole.events) if isinstance(event, Done)]
    cut = data.draw(st.integers(0, ends[failed] if failed < len(ends) else len(whole.events)))
    before = [event for event in whole.events[:cut] if isinstance(event, Done)]
    schedule = fold(workflow, before, whole.settled[: len(before)])
    settled = iter(whole.settled[len(before) :])
    in_flight = [event for event in whole.events[:cut] if not isinstance(event, Done)]
    for done in before:
        in_flight.remove(done.path)
    for event in (*in_flight, *whole.events[cut:]):
        if not isinstance(event, Done):
            schedule.start(event)
            continue
        then = next(settled)
        recorded = dict(then.decisions)
        again = schedule.complete(*event, lambda _, path, __, own, known=recorded: known.get(path, own))  # type: ignore[misc]
        assert (again.verdict, again.decisions, again.outcome) == (then.verdict, then.decisions, then.outcome)
    assert schedule.signature() == whole.schedule.signature()
    assert schedule.head == whole.schedule.head


@pytest.mark.slow
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
@examples(300)
def test_a_run_that_failed_can_go_on_and_pass(workflow: Workflow, data: DataObject, executors: int) -> None:
    whole = walk(workflow, data, executors)
    schedule = fold(workflow, whole.dones, whole.settled)
    assert not schedule.done or schedule.passed
    assert schedule.passed == whole.schedule.passed
    first = [(ready.path, ready.attempt) for ready in schedule.ready()]
    made = {(done.path, done.attempt) for done in whole.dones if done.outcome != "crashed"}
    assert not made & {*first}, "attempt numbers go on"
    ran = 0
    while not schedule.done:
        ready = schedule.ready(1)[0]
        schedule.start(ready.path)
        items = plan("u", "v") if ready.mode == "plan" else None
        commit = f"{ready.path}#{ready.attempt}"
        settled = schedule.complete(
            *ended(ready.path, ready.attempt, agent=ready.agent, commit=commit, plan=items), own_policy
        )
        assert settled.verdict == "passed"
        ran += 1
        assert ran < MOST
    assert schedule.passed
    assert {leaf.status for leaf in schedule.leaves()} == {"passed"}


@pytest.mark.slow
@given(workflows(), st.data(), st.sampled_from([1, 3]))
@examples(150)
def test_however_often_a_run_is_taken_up_its_history_gives_the_same_state(
    workflow: Workflow, data: DataObject, executors: int
) -> None:
    first = walk(workflow, data, executors)
    schedule = fold(workflow, first.dones, first.settled)
    dones: list[Done] = []
    settled: list[Settled] = []
    random = data.draw(st.randoms(use_true_random=False))
    for _ in range(data.draw(st.integers(0, 12))):
        offered = schedule.ready()
        if not offered or schedule.done:
            break
        ready = random.choice(offered)
        schedule.start(ready.path)
        outcome = "passed" if random.random() < 0.5 else random.choice(FAILURES[:2])
        if ready.mode == "merge" and outcome != "passed":
            outcome = "conflict"
        items = plan("u", "v") if ready.mode == "plan" and outcome == "passed" else None
        commit = f"{ready.path}#{ready.attempt}"
        done = ended(ready.path, ready.attempt, outcome, ready.agent, commit=commit, plan=items)
        settled.append(schedule.complete(*done, own_policy))
        dones.append(done)
    again = fold(workflow, first.dones, first.settled)
    feed(again, dones, settled)
    if schedule.done and not schedule.passed:
        assert not again.done
    else:
        assert (again.ready(), again.signature()) == (schedule.ready(), schedule.signature())


def test_a_step_that_failed_for_good_begins_anew_with_all_its_failures_left() -> None:
    from pytest_gump.workflow.model import Workflow

    impl = agent("impl", on_failure=flat(2, "same", "escalate: opus"))
    workflow = Workflow(name="w", steps=(agent("tests"), impl, gate("check")))
    run = Walk(workflow, lambda ready: "gate_failed" if ready.path.leaf == "impl" else "passed").run()
    schedule = fold(workflow, run.dones, run.settled)
    (ready,) = schedule.ready()
    assert (str(ready.path), ready.attempt, ready.agent, ready.entry) == ("impl", 3, "haiku", "resume")
    assert (ready.base, ready.session) == ("tests#1", "fresh")
    assert ready.failure is not None
    assert ready.failure.attempt == 2
    schedule.start(ready.path)
    settled = schedule.complete(*ended(ready.path, 3, "gate_failed", "haiku"), own_policy)
    assert settled.verdict == "escalated"


def test_an_attempt_that_says_nothing_of_its_step_is_offered_again_by_its_number() -> None:
    from pytest_gump.workflow.model import Workflow

    workflow = Workflow(name="w", steps=(agent("impl"),))
    schedule = ResumableSchedule(workflow, base="base")
    (ready,) = schedule.ready()
    schedule.start(ready.path)
    assert schedule.ready() == []
    schedule.repeat(ready.path, "opus")
    (again,) = schedule.ready()
    assert (again.attempt, again.agent, again.session) == (1, "opus", "fresh")


def test_members_that_failed_side_by_side_all_begin_anew_and_are_merged_in_plan_order() -> None:
    from pytest_gump.workflow.model import Workflow

    steps = agent("split", output="plan"), group("build", agent("impl"), foreach="split", parallel=True)
    workflow = Workflow(name="w", steps=steps)

    def outcome(ready: object) -> str:
        return "gate_failed" if str(getattr(ready, "path", "")) == "build::impl[u]" else "passed"

    run = Walk(workflow, outcome, executors=2).run()
    assert [str(done.path) for done in run.dones if done.outcome == "passed"][-1] == "build::merge[v]"
    schedule = fold(workflow, run.dones, run.settled)
    order = []
    while not schedule.done:
        (ready,) = schedule.ready(1)
        schedule.start(ready.path)
        schedule.complete(*ended(ready.path, ready.attempt, commit=f"{ready.path}#{ready.attempt}"), own_policy)
        order.append(f"{ready.path}#{ready.attempt}")
    assert order == ["build::impl[u]#2", "build::merge[u]#1", "build::merge[v]#2"]
    assert schedule.head == "build::merge[v]#2"


def test_what_a_group_might_have_made_good_begins_anew_too_when_the_run_failed_of_something_else() -> None:
    from pytest_gump.workflow.model import Workflow

    steps = (group("build", agent("one"), agent("two"), parallel=True, on_failure=flat(1, "same")),)
    outcomes = {"build::one": "gate_failed", "build::two": "gate_error"}
    workflow = Workflow(name="w", steps=steps)
    run = Walk(workflow, lambda ready: outcomes.get(str(ready.path), "passed")).run()
    assert [str(path) for path in run.settled[-1].failed] == ["build::one"]
    schedule = fold(workflow, run.dones, run.settled)
    assert [(str(ready.path), ready.attempt) for ready in schedule.ready()] == [("build::one", 2), ("build::two", 2)]


@given(st.booleans())
def test_gates_run_again_without_the_agent_only_where_it_had_worked(has_work: bool) -> None:
    from pytest_gump.workflow.model import Workflow

    schedule = ResumableSchedule(Workflow(name="w", steps=(agent("impl"),)), base="base")
    (ready,) = schedule.ready()
    schedule.start(ready.path)
    gates = (GateResult("test", "error"),) if has_work else ()
    schedule.replay(*ended(ready.path, 1, "gate_error", commit="left", gates=gates), own_policy)
    schedule.resume()
    (again,) = schedule.ready()
    expected = (None, "left", "recheck") if has_work else ("haiku", "base", "resume")
    assert (again.agent, again.base, again.entry) == expected


def test_new_attempts_have_numbers_above_those_that_are_taken() -> None:
    from pytest_gump.workflow.model import Workflow

    steps = agent("a", on_failure=flat(9, "same: 9")), agent("b")
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    a, b = StepPath(("a",)), StepPath(("b",))
    schedule.count_from({a: 4, b: 7}, [])
    assert [ready.attempt for ready in schedule.ready()] == [1]
    schedule.complete(*ended(a, 1, "gate_failed"), own_policy)
    assert [ready.attempt for ready in schedule.ready()] == [5]
    schedule.count_from({a: 2}, [a])
    assert [(ready.path, ready.attempt, ready.entry) for ready in schedule.ready()] == [(a, 6, "same")]
    schedule.complete(*ended(a, 6, "gate_failed"), own_policy)
    assert [ready.attempt for ready in schedule.ready()] == [7]
    schedule.complete(*ended(a, 7), own_policy)
    assert [(ready.path, ready.attempt) for ready in schedule.ready()] == [(b, 8)]


def test_a_part_of_a_replan_gets_a_new_number_of_its_own() -> None:
    from pytest_gump.workflow.model import Workflow

    steps = (agent("impl", on_failure=flat(3, "same", "replan: opus", "same")),)
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    schedule.complete(*ended(StepPath(("impl",)), 1, "gate_failed"), own_policy)
    part = StepPath(("impl--replan", "plan"))
    schedule.count_from({part: 3}, [part])
    assert [(ready.path, ready.attempt) for ready in schedule.ready()] == [(part, 4)]
    schedule.complete(*ended(part, 4, "gate_failed"), own_policy)
    assert [(str(ready.path), ready.attempt) for ready in schedule.ready()] == [("impl", 3)]


@given(st.booleans())
def test_a_past_failure_may_stand_and_count_for_nothing(counts: bool) -> None:
    from pytest_gump.workflow.model import Workflow

    steps = (agent("impl", on_failure=flat(3, "same: 2", "escalate: opus")),)
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    path = StepPath(("impl",))
    assert (
        schedule.replay(*ended(path, 1, "gate_failed", commit="left"), own_policy, counts=counts).verdict == "retried"
    )
    verdicts = []
    while not schedule.done:
        (ready,) = schedule.ready()
        verdicts.append(schedule.complete(*ended(path, ready.attempt, "gate_failed"), own_policy).verdict)
    assert verdicts == (["escalated", "failed"] if counts else ["retried", "escalated", "failed"])


def test_a_failure_that_counts_for_nothing_says_nothing_of_progress() -> None:
    from pytest_gump.workflow.model import Workflow

    steps = (agent("impl", on_failure=flat(4, "same: 4")),)
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    path = StepPath(("impl",))
    schedule.replay(*ended(path, 1, "gate_failed", commit="c", failing="test"), own_policy, counts=False)
    settled = schedule.complete(*ended(path, 2, "gate_failed", commit="c", failing="test"), own_policy)
    assert settled.verdict == "retried"
