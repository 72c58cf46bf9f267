"""Resume of a schedule: replayed attempts of an earlier session give a schedule that continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.resumable import ResumableSchedule
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.gates.base import GateResult
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import GateSpec, Step, Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule.test_schedule_properties import FAILURES, Walk, outcomes, workflows
from tests.engine.schedule_kit import Done, agent, ended, flat, gate, group, own_policy, plan
from tests.kits.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DataObject
    from pytest_gump.engine.schedule.decision import Decision, Failure
    from pytest_gump.engine.schedule.records import Settled
MOST = 2_000


def fold(workflow: Workflow, dones: Sequence[Done], settled: Sequence[Settled]) -> ResumableSchedule:
    schedule = ResumableSchedule(workflow, base="base")
    feed(schedule, dones, settled)
    schedule.resume()
    return schedule


def recorded_in(settled: Settled) -> dict[StepPath, Decision]:
    """Return the decisions after an attempt, with those about an attempt whose last validator it was."""
    validated = settled.validated
    return dict([*settled.decisions, *(validated.settled.decisions if validated is not None else ())])


def feed(schedule: ResumableSchedule, dones: Sequence[Done], settled: Sequence[Settled]) -> None:
    for done, one in zip(dones, settled, strict=True):
        recorded = recorded_in(one)
        ready = schedule.open_attempt(done.path)
        if ready is not None and ready.attempt == done.attempt:
            schedule.start(done.path)
            schedule.replay(*done, lambda _, path, __, own, known=recorded: known.get(path, own))  # type: ignore[misc]


def first_failure(workflow: Workflow, whole: Walk) -> int:
    """Return the number of attempts that had ended when the run failed."""
    schedule = Schedule(workflow, base="base")
    ended = iter(enumerate(whole.settled))
    for event in whole.events:
        if isinstance(event, Done):
            number, settled = next(ended)
            recorded = recorded_in(settled)
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
def test_interrupted_run_continues_like_an_uninterrupted_one(
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
        recorded = recorded_in(then)
        again = schedule.complete(*event, lambda _, path, __, own, known=recorded: known.get(path, own))  # type: ignore[misc]
        assert (again.verdict, again.decisions, again.outcome) == (then.verdict, then.decisions, then.outcome)
    assert schedule.signature() == whole.schedule.signature()
    assert schedule.head == whole.schedule.head


@pytest.mark.slow
@given(workflows(), st.data(), st.sampled_from([1, 2, 5]))
@examples(300)
def test_failed_run_can_continue_and_pass(workflow: Workflow, data: DataObject, executors: int) -> None:
    whole = walk(workflow, data, executors)
    schedule = fold(workflow, whole.dones, whole.settled)
    assert not schedule.done or schedule.passed
    assert schedule.passed == whole.schedule.passed
    first = [(ready.path, ready.attempt) for ready in schedule.ready()]
    made = {(done.path, done.attempt) for done in whole.dones if done.outcome != "crashed"}
    assert not made & {*first}, "attempt numbers are not used twice"
    ran = 0
    is_refused = False
    while not schedule.done:
        ready = schedule.ready(1)[0]
        schedule.start(ready.path)
        items = plan("u", "v") if ready.mode == "plan" else None
        commit = f"{ready.path}#{ready.attempt}"
        settled = schedule.complete(
            *ended(ready.path, ready.attempt, agent=ready.agent, commit=commit, plan=items), own_policy
        )
        assert settled.verdict in {"passed", "judged"}
        if (validated := settled.validated) is not None and not validated.result.passed:
            is_refused = True  # by a validator that had already answered
        ran += 1
        assert ran < MOST
    assert schedule.passed or is_refused
    assert is_refused or {leaf.status for leaf in schedule.leaves() if not leaf.template} <= {"passed"}


@pytest.mark.slow
@given(workflows(), st.data(), st.sampled_from([1, 3]))
@examples(150)
def test_history_of_a_run_resumed_several_times_gives_the_same_state(
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


def test_finally_failed_step_restarts_with_no_failures_counted() -> None:
    impl = agent("impl", on_failure=flat(2, "same", "escalate: opus"))
    workflow = Workflow(name="w", steps=(agent("tests"), impl, gate("check")))
    run = Walk(workflow, lambda ready: "gate_failed" if ready.path.leaf == "impl" else "passed").run()
    schedule = fold(workflow, run.dones, run.settled)
    (ready,) = schedule.ready()
    assert (str(ready.path), ready.attempt, ready.agent, ready.entry) == ("impl", 3, "haiku", "resume")
    assert (ready.base, ready.step_base, ready.session) == ("tests#1", "tests#1", "fresh")
    assert ready.failure is not None
    assert ready.failure.attempt == 2
    schedule.start(ready.path)
    settled = schedule.complete(*ended(ready.path, 3, "gate_failed", "haiku"), own_policy)
    assert settled.verdict == "escalated"


def test_repeated_attempt_is_offered_under_the_same_number() -> None:
    workflow = Workflow(name="w", steps=(agent("impl"),))
    schedule = ResumableSchedule(workflow, base="base")
    (ready,) = schedule.ready()
    schedule.start(ready.path)
    assert schedule.ready() == []
    schedule.repeat(ready.path, "opus")
    (again,) = schedule.ready()
    assert (again.attempt, again.agent, again.session) == (1, "opus", "fresh")


def test_failed_parallel_members_restart_and_are_merged_in_plan_order() -> None:
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


def test_open_failure_of_a_group_restarts_too_if_the_run_failed_for_another_reason() -> None:
    steps = (group("build", agent("one"), agent("two"), parallel=True, on_failure=flat(1, "same")),)
    outcomes = {"build::one": "gate_failed", "build::two": "gate_error"}
    workflow = Workflow(name="w", steps=steps)
    run = Walk(workflow, lambda ready: outcomes.get(str(ready.path), "passed")).run()
    assert [str(path) for path in run.settled[-1].failed] == ["build::one"]
    schedule = fold(workflow, run.dones, run.settled)
    assert [(str(ready.path), ready.attempt) for ready in schedule.ready()] == [("build::one", 2), ("build::two", 2)]


@given(st.booleans(), st.sampled_from(["diff", "plan", "artifact", "review"]))
def test_only_the_gates_run_again_if_the_agent_had_finished(has_work: bool, output: str) -> None:
    schedule = ResumableSchedule(Workflow(name="w", steps=(agent("impl", output=output),)), base="base")
    (ready,) = schedule.ready()
    schedule.start(ready.path)
    gates = (GateResult("test", "error"),) if has_work else ()
    schedule.replay(*ended(ready.path, 1, "gate_error", commit="left", gates=gates), own_policy)
    schedule.resume()
    (again,) = schedule.ready()
    left = "left" if output == "diff" else "base"
    expected = (None, left, "recheck", 2) if has_work else ("haiku", "base", "resume", 2)
    assert (again.agent, again.base, again.entry, again.attempt) == expected


def test_new_attempts_have_numbers_above_those_already_used() -> None:
    steps = agent("a", on_failure=flat(9, "same: 9")), agent("b")
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    a, b = StepPath(("a",)), StepPath(("b",))
    schedule.count_from({a: 4, b: 7}, [])
    assert [ready.attempt for ready in schedule.ready()] == [1]
    seen: list[int] = []

    def hook(_: Step, __: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
        seen.append(failures[-1].attempt)
        return own

    schedule.complete(*ended(a, 1, "gate_failed"), hook)
    assert [ready.attempt for ready in schedule.ready()] == [5]
    schedule.count_from({a: 2}, [a])
    assert [(ready.path, ready.attempt, ready.entry) for ready in schedule.ready()] == [(a, 6, "same")]
    schedule.complete(*ended(a, 6, "gate_failed"), hook)
    assert [ready.attempt for ready in schedule.ready()] == [7]
    assert seen == [1, 6]
    schedule.complete(*ended(a, 7), own_policy)
    assert [(ready.path, ready.attempt) for ready in schedule.ready()] == [(b, 8)]


def test_part_of_a_replan_gets_its_own_new_number() -> None:
    steps = (agent("impl", on_failure=flat(3, "same", "replan: opus", "same")),)
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    schedule.complete(*ended(StepPath(("impl",)), 1, "gate_failed"), own_policy)
    part = StepPath(("impl--replan", "plan"))
    schedule.count_from({part: 3}, [part])
    assert [(ready.path, ready.attempt) for ready in schedule.ready()] == [(part, 4)]
    seen: list[int] = []

    def hook(_: Step, __: StepPath, failures: Sequence[Failure], own: Decision) -> Decision:
        seen.append(failures[-1].attempt)
        return own

    schedule.complete(*ended(part, 4, "gate_failed"), hook)
    assert [(str(ready.path), ready.attempt) for ready in schedule.ready()] == [("impl", 3)]
    assert seen == [2], "the failure has the number of the step's own attempt"


@given(st.booleans())
def test_past_failure_may_be_kept_without_being_counted(counts: bool) -> None:
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


def test_failure_that_is_not_counted_is_not_compared_for_progress() -> None:
    steps = (agent("impl", on_failure=flat(4, "same: 4")),)
    schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
    path = StepPath(("impl",))
    schedule.replay(*ended(path, 1, "gate_failed", commit="c", failing="test"), own_policy, counts=False)
    settled = schedule.complete(*ended(path, 2, "gate_failed", commit="c", failing="test"), own_policy)
    assert settled.verdict == "retried"


# -- what restarts -------------------------------------------------------------------------------------------------


class Resumed:
    """A run whose attempts have outcomes from a table and are replayed in a schedule that is then resumed."""

    def __init__(self, *steps: Step, fails: dict[str, str], items: tuple[PlanItem, ...] = ()) -> None:
        self.items = items or plan("x", "y")
        self.schedule = ResumableSchedule(Workflow(name="w", steps=steps), base="base")
        self.fails = fails

    def end(self, *paths: str, attempt: int = 1) -> Resumed:
        """Replay these attempts."""
        for path in paths:
            step = StepPath.parse(path)
            ready = self.schedule.open_attempt(step)
            assert ready is not None, path
            self.schedule.start(step)
            outcome = self.fails.get(path, "passed")
            items = self.items if ready.mode == "plan" else None
            done = ended(step, attempt, outcome, ready.agent, commit=f"{path}#{attempt}", plan=items)
            self.schedule.replay(*done, own_policy)
        return self

    def resume(self) -> list[str]:
        self.schedule.resume()
        return self.offered()

    def offered(self) -> list[str]:
        """Return `impl 2 from base: resume fresh`, with the failed step, for each attempt that may start."""
        return [
            f"{ready.path} {ready.attempt} from {ready.base}: {ready.entry} {ready.session}"
            + (f" after {ready.failed}" if ready.failed else "")
            for ready in self.schedule.ready()
        ]

    def passing(self) -> list[str]:
        """Let all remaining attempts pass."""
        ran = []
        while not self.schedule.done:
            ready = self.schedule.ready(1)[0]
            self.schedule.start(ready.path)
            items = self.items if ready.mode == "plan" else None
            commit = f"{ready.path}#{ready.attempt}"
            settled = self.schedule.complete(*ended(ready.path, ready.attempt, commit=commit, plan=items), own_policy)
            assert (settled.verdict, settled.failed, settled.skipped) == ("passed", (), ())
            ran.append(f"{ready.path} {ready.attempt} on {ready.base}")
        assert self.schedule.passed
        return ran


def test_rerun_of_gates_does_not_use_up_failures_of_the_step() -> None:
    run = Resumed(agent("impl", on_failure=flat(2, "same: 2")), fails={})
    (ready,) = run.schedule.ready()
    gates = (GateResult("test", "error"),)
    run.schedule.replay(*ended(ready.path, 1, "gate_error", commit="left", gates=gates), own_policy)
    assert run.resume() == ["impl 2 from left: recheck policy"]
    assert run.schedule.complete(*ended(ready.path, 2, "gate_failed"), own_policy).verdict == "retried"


def test_group_with_failed_gates_restarts_with_its_gates() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True, gate=(GateSpec(name="test"),))
    run = Resumed(agent("z"), both, fails={"g::gate": "gate_failed"})
    run.end("z", "g::a", "g::merge[a]", "g::b", "g::merge[b]", "g::gate")
    assert run.resume() == ["g::gate 2 from g::merge[b]#1: resume policy after g::gate"]
    (ready,) = run.schedule.ready()
    assert (ready.role, ready.step_base, ready.agent, ready.mode) == ("gate", "z#1", None, "gate")
    assert run.passing() == ["g::gate 2 on g::merge[b]#1"]


def test_step_in_an_escalated_group_restarts_with_the_agent_of_the_group() -> None:
    steps = agent("z"), group("g", agent("a"), on_failure=flat(2, "same", "escalate: opus"))
    run = Resumed(*steps, fails={"g::a": "gate_failed"}).end("z", "g::a").end("g::a", attempt=2)
    assert run.resume() == ["g::a 3 from z#1: resume fresh after g::a"]
    (ready,) = run.schedule.ready()
    assert (ready.agent, ready.step_base, ready.role) == ("opus", "z#1", "step")


def test_member_with_a_final_conflict_restarts_on_the_merged_tree() -> None:
    member = agent("i", on_failure=flat(2, "same: 2"))
    build = group("b", agent("t"), member, foreach="p", parallel=True)
    run = Resumed(agent("p", output="plan"), build, fails={"b::i[y]": "gate_failed", "b::merge[y]": "conflict"})
    run.end("p", "b::t[x]", "b::i[x]", "b::merge[x]", "b::t[y]", "b::i[y]")
    run.fails["b::i[y]"] = "passed"
    run.end("b::i[y]", attempt=2).end("b::merge[y]")
    assert run.resume() == ["b::t[y] 2 from b::merge[x]#1: restart fresh after b::merge[y]"]
    step = StepPath.parse("b::t[y]")
    assert run.schedule.complete(*ended(step, 2, commit="t"), own_policy).verdict == "passed"
    assert run.schedule.complete(*ended(StepPath.parse("b::i[y]"), 3, "gate_failed"), own_policy).verdict == "retried"
    assert run.passing() == ["b::i[y] 4 on t", "b::merge[y] 2 on b::merge[x]#1"]


def test_merge_that_failed_with_an_error_is_repeated() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True)
    run = Resumed(both, fails={"g::merge[a]": "gate_error"}).end("g::a", "g::b", "g::merge[a]")
    assert run.resume() == ["g::merge[a] 2 from base: first policy"]
    assert run.passing() == ["g::merge[a] 2 on base", "g::merge[b] 1 on g::merge[a]#2"]


def test_merge_waits_for_an_earlier_failed_member() -> None:
    both = group("g", agent("a"), agent("b"), agent("c"), parallel=True)
    run = Resumed(both, fails={"g::a": "gate_failed", "g::merge[b]": "gate_error"})
    run.end("g::a", "g::b", "g::merge[b]", "g::c")
    assert run.resume() == ["g::a 2 from base: resume fresh after g::a"]
    assert run.passing() == [
        "g::a 2 on base", "g::merge[a] 1 on base", "g::merge[b] 2 on g::merge[a]#1", "g::merge[c] 1 on g::merge[b]#2",
    ]  # fmt: skip


def test_replayed_merge_after_a_failed_member_is_not_offered_before_it() -> None:
    both = group("g", agent("a"), agent("b"), agent("c"), parallel=True)
    run = Resumed(both, fails={"g::a": "gate_failed", "g::c": "gate_failed"}).end("g::a", "g::b", "g::merge[b]", "g::c")
    assert run.resume() == [
        "g::a 2 from base: resume fresh after g::a",
        "g::c 2 from base: resume fresh after g::c",
    ]
    assert run.passing() == [
        "g::a 2 on base", "g::merge[a] 1 on base", "g::merge[b] 2 on g::merge[a]#1", "g::c 2 on base",
        "g::merge[c] 1 on g::merge[b]#2",
    ]  # fmt: skip


def test_skipped_plan_item_starts_after_its_failed_dependency() -> None:
    items = PlanItem("x", "x"), PlanItem("y", "y", depends_on=("x",)), PlanItem("z", "z")
    build = group("b", agent("a"), foreach="p", parallel=True)
    run = Resumed(agent("p", output="plan"), build, fails={"b::a[x]": "gate_failed"}, items=items)
    run.end("p", "b::a[x]", "b::a[z]", "b::merge[z]")
    assert run.resume() == ["b::a[x] 2 from base: resume fresh after b::a[x]"]
    assert run.passing() == [
        "b::a[x] 2 on base", "b::merge[x] 1 on base", "b::a[y] 1 on b::merge[x]#1",
        "b::merge[y] 1 on b::merge[x]#1", "b::merge[z] 2 on b::merge[y]#1",
    ]  # fmt: skip


def test_members_that_had_not_started_start_after_the_one_that_ended_the_run() -> None:
    run = Resumed(group("g", agent("a"), agent("b"), parallel=True), agent("z"), fails={"g::a": "gate_error"}).end(
        "g::a"
    )
    assert run.resume()[0] == "g::a 2 from base: resume fresh after g::a"
    assert run.passing() == [
        "g::a 2 on base", "g::merge[a] 1 on base", "g::b 1 on base", "g::merge[b] 1 on g::merge[a]#1", "z 1 on g::merge[b]#1",
    ]  # fmt: skip


def test_step_that_failed_after_the_run_restarts_too() -> None:
    run = Resumed(
        group("g", agent("a"), agent("b"), parallel=True), fails={"g::a": "gate_error", "g::b": "gate_failed"}
    )
    run.schedule.ready()
    run.end("g::a", "g::b")
    assert run.resume() == ["g::a 2 from base: resume fresh after g::a", "g::b 2 from base: resume fresh after g::b"]
    run.schedule.resume()
    assert len(run.offered()) == 2
    run.passing()


def test_open_failure_of_a_group_is_kept_if_the_run_had_not_failed() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=flat(2, "same: 2"))
    run = Resumed(both, fails={"g::a": "gate_failed"})
    run.schedule.ready()
    run.end("g::a")
    assert run.resume() == ["g::b 1 from base: first policy"]
    run.schedule.complete(*ended(StepPath(("g", "b")), 1, "gate_failed"), own_policy)
    assert [(str(ready.path), ready.attempt) for ready in run.schedule.ready()] == [("g::a", 2), ("g::b", 2)]


def test_restarted_step_is_not_among_the_later_failures() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=flat(1))
    run = Resumed(both, fails={"g::a": "gate_failed", "g::b": "gate_error"})
    run.schedule.ready()
    run.end("g::a", "g::b")
    assert len(run.resume()) == 2
    settled = run.schedule.complete(*ended(StepPath(("g", "b")), 2, "gate_error"), own_policy)
    assert (settled.verdict, settled.failed) == ("failed", ())


def test_groups_around_a_restarted_step_are_running() -> None:
    inner = group("inner", agent("a"), agent("b"), parallel=True)
    run = Resumed(
        group("outer", group("left", inner), agent("c"), parallel=True), fails={"outer::left::inner::a": "gate_failed"}
    )
    run.end(
        "outer::left::inner::a", "outer::left::inner::b", "outer::left::inner::merge[b]", "outer::c", "outer::merge[c]"
    )
    run.resume()
    assert {str(path) for path in run.schedule.living()} == {"outer::left", "outer::left::inner::a"}
    assert {str(leaf.path): leaf.status for leaf in run.schedule.leaves()}["outer::merge[left]"] == "pending"


def test_schedule_without_replayed_attempts_fails_as_usual() -> None:
    run = Resumed(agent("a"), agent("b"), fails={})
    settled = run.schedule.complete(*ended(StepPath(("a",)), 1, "gate_failed"), own_policy)
    assert (settled.verdict, run.schedule.has_failed, run.schedule.done) == ("failed", True, True)
    replayed = Resumed(agent("a"), agent("b"), fails={"a": "gate_failed"}).end("a")
    assert not replayed.schedule.has_failed
    again = replayed.schedule.complete(*ended(StepPath(("a",)), 2, "gate_failed"), own_policy)
    assert (again.verdict, replayed.schedule.has_failed) == ("failed", True)


def test_replacement_agent_is_kept_for_the_step() -> None:
    run = Resumed(agent("a", on_failure=flat(3, "same: 3")), fails={})
    path = StepPath(("a",))
    run.schedule.repeat(path, "opus")
    run.schedule.complete(*ended(path, 1, "gate_failed"), own_policy)
    (ready,) = run.schedule.ready()
    assert (ready.agent, ready.entry, ready.session) == ("opus", "same", "resume")
    run.schedule.repeat(path)
    assert run.schedule.ready() == [ready]


def test_replacement_agent_of_a_part_of_a_replan_is_not_kept_for_the_step() -> None:
    run = Resumed(agent("a", on_failure=flat(3, "same", "replan: opus", "same")), fails={"a": "gate_failed"}).end("a")
    part = StepPath(("a--replan", "plan"))
    run.schedule.repeat(part, "codex")
    (ready,) = run.schedule.ready()
    assert (ready.path, ready.agent) == (part, "codex")
    run.schedule.complete(*ended(part, 1, "gate_failed"), own_policy)
    (ready,) = run.schedule.ready()
    assert (str(ready.path), ready.agent) == ("a", "haiku")


def test_merges_wait_for_an_earlier_member_that_restarts() -> None:
    both = group("g", agent("a"), agent("b"), agent("c"), parallel=True)
    run = Resumed(both, fails={"g::a": "gate_failed", "g::c": "gate_error"})
    run.schedule.ready()
    run.end("g::a", "g::b", "g::c")
    assert run.resume() == ["g::a 2 from base: resume fresh after g::a", "g::c 2 from base: resume fresh after g::c"]


def test_failure_after_the_first_resume_is_kept_at_the_second() -> None:
    both = group("g", agent("a"), agent("b"), parallel=True, on_failure=flat(2, "same: 2"))
    run = Resumed(both, fails={"g::a": "gate_error"})
    run.schedule.ready()
    run.end("g::a")
    assert len(run.resume()) == 2
    run.fails["g::a"] = "gate_failed"
    run.end("g::a", attempt=2)
    assert run.resume() == ["g::b 1 from base: first policy"]


@given(st.booleans())
def test_past_merge_may_be_kept_without_being_counted(counts: bool) -> None:
    run = Resumed(group("g", agent("a"), parallel=True), fails={}).end("g::a")
    done = ended(StepPath.parse("g::merge[a]"), 1, commit="m")
    assert run.schedule.replay(*done, own_policy, counts=counts).verdict == "passed"
    assert run.schedule.passed


def test_counted_failures_are_part_of_the_state() -> None:
    states = set()
    for counts in (True, False):
        run = Resumed(agent("a", on_failure=flat(3, "same: 3")), fails={})
        run.schedule.replay(*ended(StepPath(("a",)), 1, "gate_failed"), own_policy, counts=counts)
        states.add(run.schedule.signature())
    assert len(states) == 2


def test_only_the_gates_run_again_after_two_gate_errors() -> None:
    run = Resumed(agent("impl"), fails={})
    path = StepPath(("impl",))
    run.schedule.replay(*ended(path, 1, "gate_error", commit="left", gates=(GateResult("test", "error"),)), own_policy)
    run.schedule.replay(*ended(path, 2, "gate_error", commit="left"), own_policy)
    assert run.resume() == ["impl 3 from left: recheck policy"]
