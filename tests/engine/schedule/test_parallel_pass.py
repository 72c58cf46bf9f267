"""Parallel groups: the tree on which members start, merges in plan order, conflicts, group gates and dependencies."""

from __future__ import annotations

import random
import time
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule.parallel_pass import ParallelPass
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import GateSpec, Step, Workflow

from tests.engine.schedule.test_schedule_properties import Walk, workflows
from tests.engine.schedule_kit import Drive, agent, ended, flat, gate, group, own_policy
from tests.kits.examples import examples
from tests.kits.sizes import full_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.engine.schedule.records import Ready

PLAN = agent("plan", output="plan")
GATES = (GateSpec(name="test"),)


def build(*steps: Step, **keys: object) -> Step:
    return group("build", *steps, foreach="plan", parallel=True, **keys)


def test_members_are_merged_in_plan_order() -> None:
    drive = Drive((PLAN, build(agent("a"), agent("b")), agent("z"))).run()
    assert [(str(ready.path), ready.base) for ready in drive.orders[1:]] == [
        ("build::a[one]", "base"),
        ("build::b[one]", "build::a[one]#1"),
        ("build::merge[one]", "base"),
        ("build::a[two]", "base"),
        ("build::b[two]", "build::a[two]#1"),
        ("build::merge[two]", "build::merge[one]#1"),
        ("z", "build::merge[two]#1"),
    ]
    merges = [ready for ready in drive.orders if ready.mode == "merge"]
    assert [(ready.step_base, ready.theirs) for ready in merges] == [
        ("base", "build::b[one]#1"),
        ("base", "build::b[two]#1"),
    ]
    assert drive.schedule.passed


def test_failed_member_is_not_merged_and_the_others_finish() -> None:
    drive = Drive((PLAN, build(agent("a"), agent("b")), agent("z")), {"build::b[one]": ["gate_failed"]}).run()
    assert [settled.verdict for settled in drive.settled] == [*["passed"] * 2, "failed", *["passed"] * 3]
    assert drive.statuses == {
        "plan": "passed",
        "build::a[one]": "passed",
        "build::b[one]": "failed",
        "build::merge[one]": "skipped",
        "build::a[two]": "passed",
        "build::b[two]": "passed",
        "build::merge[two]": "passed",
        "z": "skipped",
    }
    assert drive.schedule.head == "build::merge[two]#1"
    assert drive.schedule.reason == "build::b[one] failed: gate_failed"


def test_group_with_a_policy_runs_again_after_all_members_have_ended() -> None:
    fails = {"build::a[one]": ["gate_failed"], "build::a[two]": ["gate_failed"]}
    drive = Drive((PLAN, build(agent("a"), on_failure=flat(2, "same", "escalate: opus"))), fails).run()
    assert drive.log[1:] == [
        "build::a[one] 1 haiku",
        "build::a[two] 1 haiku",
        "build::a[one] 2 opus",
        "build::merge[one] 1 -",
        "build::a[two] 2 opus",
        "build::merge[two] 1 -",
    ]
    assert [settled.verdict for settled in drive.settled[1:3]] == ["again", "again"]
    assert [settled.failed for settled in drive.settled] == [()] * 7
    assert [str(ready.failed) for ready in (drive.orders[3], drive.orders[5])] == [
        "build::a[one]",
        "build::a[two]",
    ]


def test_open_failure_is_reported_when_the_group_ends() -> None:
    fails = {"build::a[one]": ["gate_failed"] * 2}
    drive = Drive((PLAN, build(agent("a"), on_failure=flat(2))), fails).run()
    first = [settled.verdict for settled in drive.settled[1:4]]
    assert first == ["again", "passed", "passed"]
    last = drive.settled[-1]
    assert (str(drive.orders[-1].path), last.verdict) == ("build::merge[two]", "passed")
    assert [str(path) for path in last.failed] == ["build::a[one]"]
    assert drive.statuses["build::a[one]"] == "failed"


def test_failure_is_final_at_once_if_no_group_has_a_policy() -> None:
    drive = Drive((PLAN, build(agent("a"))), {"build::a[one]": ["gate_failed"]}).run()
    assert drive.settled[1].verdict == "failed"
    assert [settled.failed for settled in drive.settled] == [()] * len(drive.settled)


def test_gate_error_ends_the_run_after_attempts_in_flight_finish() -> None:
    steps = (group("g", agent("a"), agent("b"), agent("c"), parallel=True, on_failure=flat(2, "same: 2")),)
    schedule = Schedule(Workflow(name="w", steps=steps), base="base")
    first, second = schedule.ready(2)
    for ready in (first, second):
        schedule.start(ready.path)
    settled = schedule.complete(*ended(first.path, 1, "gate_error"), own_policy)
    assert [str(path) for path in settled.skipped] == ["g::merge[a]", "g::merge[b]", "g::c", "g::merge[c]"]
    assert (schedule.done, schedule.ready()) == (False, [])
    late = schedule.complete(*ended(second.path, 1, commit="x"), own_policy)
    assert (late.verdict, late.skipped, schedule.done) == ("passed", (), True)
    assert {str(leaf.path): leaf.status for leaf in schedule.leaves()} == {
        "g::a": "failed",
        "g::merge[a]": "skipped",
        "g::b": "passed",
        "g::merge[b]": "skipped",
        "g::c": "skipped",
        "g::merge[c]": "skipped",
    }


def test_all_members_can_start_at_once_on_the_base_of_the_group() -> None:
    steps = (group("g", agent("a"), agent("b"), agent("c"), parallel=True), agent("z"))
    schedule = Schedule(Workflow(name="w", steps=steps), base="base")
    assert [(str(ready.path), ready.base) for ready in schedule.ready()] == [
        ("g::a", "base"),
        ("g::b", "base"),
        ("g::c", "base"),
    ]
    for ready in schedule.ready()[::-1]:
        schedule.complete(*ended(ready.path, 1, commit=f"{ready.path}"), own_policy)
    merges = []
    while (ready := schedule.ready()[0]).mode == "merge":
        merges.append((str(ready.path), ready.base, ready.theirs))
        schedule.complete(*ended(ready.path, 1, commit=f"{ready.path}"), own_policy)
    assert merges == [
        ("g::merge[a]", "base", "g::a"),
        ("g::merge[b]", "g::merge[a]", "g::b"),
        ("g::merge[c]", "g::merge[b]", "g::c"),
    ]
    assert (str(ready.path), ready.base) == ("z", "g::merge[c]")


def test_reviews_have_nothing_to_merge() -> None:
    steps = (agent("code"), group("g", agent("a", output="review"), agent("b", output="artifact"), parallel=True))
    drive = Drive(steps).run()
    assert [str(ready.path) for ready in drive.orders] == ["code", "g::a", "g::b"]
    assert drive.schedule.head == "code#1"


def test_member_with_a_conflict_restarts_on_the_merged_tree() -> None:
    impl = agent("impl", on_failure=flat(3, "same", "escalate: opus"))
    drive = Drive((PLAN, build(agent("tests"), impl)), {"build::merge[two]": ["conflict"]}).run()
    assert drive.log[4:] == [
        "build::tests[two] 1 haiku",
        "build::impl[two] 1 haiku",
        "build::merge[two] 1 -",
        "build::tests[two] 2 haiku",
        "build::impl[two] 2 opus",
        "build::merge[two] 2 -",
    ]
    tests, impl_again, merge = drive.orders[-3:]
    assert (tests.base, tests.session, str(tests.failed)) == (
        "build::merge[one]#1",
        "fresh",
        "build::merge[two]",
    )
    assert tests.failure is not None
    assert tests.failure.outcome == "conflict"
    assert impl_again.failure is None
    assert (merge.base, merge.step_base, merge.theirs) == (
        "build::merge[one]#1",
        "build::merge[one]#1",
        "build::impl[two]#2",
    )
    assert drive.schedule.passed


def test_conflict_counts_as_a_failure_of_the_step() -> None:
    fails = {"build::impl[two]": ["gate_failed"], "build::merge[two]": ["conflict", "conflict"]}
    drive = Drive((PLAN, build(agent("impl", on_failure=flat(3, "same: 3")))), fails).run()
    assert drive.log[3:] == [
        "build::impl[two] 1 haiku",
        "build::impl[two] 2 haiku",
        "build::merge[two] 1 -",
        "build::impl[two] 3 haiku",
        "build::merge[two] 2 -",
    ]
    assert (drive.settled[-1].verdict, drive.settled[-1].outcome) == ("failed", "conflict")
    assert drive.statuses["build::merge[two]"] == "failed"
    assert drive.statuses["build::impl[two]"] == "passed"


def test_conflict_without_a_policy_is_final() -> None:
    drive = Drive((PLAN, build(agent("impl"))), {"build::merge[two]": ["conflict"]}).run()
    assert drive.schedule.reason == "build::merge[two] failed: conflict"


def test_conflict_of_declared_steps_is_passed_only_to_the_step_concerned() -> None:
    policy = flat(2, "same: 2")
    steps = (group("g", agent("a", on_failure=policy), agent("b", on_failure=policy), parallel=True),)
    drive = Drive(steps, {"g::merge[b]": ["conflict"]}).run()
    assert drive.log == [
        "g::a 1 haiku",
        "g::merge[a] 1 -",
        "g::b 1 haiku",
        "g::merge[b] 1 -",
        "g::b 2 haiku",
        "g::merge[b] 2 -",
    ]
    assert str(drive.orders[4].failed) == "g::merge[b]"


@pytest.mark.parametrize("parallel", [False, True])
def test_gates_of_a_group_check_the_tree_of_all_its_members(parallel: bool) -> None:
    steps = (PLAN, group("build", agent("a"), foreach="plan", parallel=parallel, gate=GATES), agent("z"))
    drive = Drive(steps).run()
    (checked,) = [ready for ready in drive.orders if str(ready.path) == "build::gate"]
    assert (checked.mode, checked.step.gate) == ("gate", GATES)
    assert checked.base == ("build::merge[two]#1" if parallel else "build::a[two]#1")
    assert drive.statuses["build::gate"] == "passed"


def test_policy_of_a_group_handles_its_failed_gate() -> None:
    steps = (PLAN, build(agent("a"), gate=GATES, on_failure=flat(2, "same: 2")))
    drive = Drive(steps, {"build::gate": ["gate_failed"]}).run()
    assert [str(ready.path) for ready in drive.orders].count("build::gate") == 2
    again = drive.orders[6]
    assert (str(again.path), again.base, str(again.failed)) == (
        "build::a[one]",
        "build::merge[two]#1",
        "build::gate",
    )
    assert drive.schedule.passed


def items(*needs: tuple[str, tuple[str, ...]]) -> dict[str, tuple[PlanItem, ...]]:
    return {"plan": tuple(PlanItem(name=name, slug=name, depends_on=wanted) for name, wanted in needs)}


def test_plan_item_starts_after_its_dependencies_are_merged() -> None:
    plans = items(("c", ("a",)), ("a", ()), ("b", ()))
    schedule = Schedule(Workflow(name="w", steps=(PLAN, build(agent("s")))), base="base")
    (ready,) = schedule.ready()
    schedule.complete(*ended(ready.path, 1, plan=plans["plan"]), own_policy)
    assert [str(one.path) for one in schedule.ready()] == ["build::s[a]", "build::s[b]"]
    for name in ("build::s[a]", "build::merge[a]"):
        (one,) = [ready for ready in schedule.ready() if str(ready.path) == name]
        schedule.complete(*ended(one.path, 1, commit=name), own_policy)
    assert [(str(one.path), one.base) for one in schedule.ready()] == [
        ("build::s[c]", "build::merge[a]"),
        ("build::s[b]", "base"),
    ]


def test_plan_item_with_a_failed_dependency_is_skipped() -> None:
    plans = items(("a", ()), ("b", ("a",)), ("c", ("b",)), ("d", ()))
    drive = Drive((PLAN, build(agent("s"))), {"build::s[a]": ["gate_failed"]}, plans).run()
    assert [path for path, status in drive.statuses.items() if status == "skipped"] == [
        "build::merge[a]",
        "build::s[b]",
        "build::merge[b]",
        "build::s[c]",
        "build::merge[c]",
    ]
    assert drive.statuses["build::merge[d]"] == "passed"


def test_serial_plan_items_run_after_their_dependencies() -> None:
    plans = items(("c", ("b",)), ("a", ()), ("b", ("a",)))
    drive = Drive((PLAN, group("build", agent("s"), foreach="plan")), {}, plans).run()
    assert [str(ready.path) for ready in drive.orders[1:]] == ["build::s[a]", "build::s[b]", "build::s[c]"]


def test_plan_items_with_overlapping_files_run_serially_with_overlap_serialize() -> None:
    plan = tuple(
        PlanItem(name=name, slug=name, files=(files,))
        for name, files in (("a", "src/x.py"), ("b", "docs/"), ("c", "src/*.py"))
    )
    schedule = Schedule(Workflow(name="w", steps=(PLAN, build(agent("s"), overlap="serialize"))), base="base")
    (ready,) = schedule.ready()
    schedule.complete(*ended(ready.path, 1, plan=plan), own_policy)
    assert [str(one.path) for one in schedule.ready()] == ["build::s[a]", "build::s[b]"]


@pytest.mark.slow
def test_cost_of_a_call_does_not_grow_with_the_number_of_parallel_items() -> None:
    small, large = full_size((200, 2_000), (1_000, 10_000))
    assert call_cost(large) < 4 * call_cost(small)


def call_cost(count: int) -> float:
    """Run a plan with `count` items, and return the CPU seconds of one call."""
    plan = tuple(PlanItem(name=f"i{number}", slug=f"i{number}") for number in range(count))
    policy = flat(3, "same: 3")
    schedule = Schedule(Workflow(name="w", steps=(PLAN, build(agent("a", on_failure=policy), agent("b")))), base="base")
    calls = 0
    flying: list[Ready] = []
    started = time.process_time()
    while not schedule.done:
        for ready in schedule.ready(32 - len(flying)):
            schedule.start(ready.path)
            flying.append(ready)
        ready = flying.pop()
        found = plan if ready.mode == "plan" else None
        schedule.complete(*ended(ready.path, ready.attempt, commit="c", plan=found), own_policy)
        calls += 1
    assert calls == 3 * count + 1
    return (time.process_time() - started) / calls


def by_path(seed: int, failing: float) -> Callable[[Ready], str]:
    """Return outcomes that depend only on the attempt. Validators always have a verdict, or the run would end."""

    def outcome(ready: Ready) -> str:
        draw = random.Random(zlib.crc32(f"{seed} {ready.path} {ready.attempt}".encode()))
        kinds = ["gate_failed", "agent_error", "output_invalid"] if ready.checks is None else ["review_failed"]
        return "passed" if draw.random() >= failing else draw.choice(kinds)

    return outcome


@pytest.mark.slow
@examples(300)
@given(workflows(), st.integers(0, 1 << 30), st.sampled_from([0.0, 0.1, 0.3, 0.6]), st.randoms(use_true_random=False))
def test_result_does_not_depend_on_the_number_of_executors_and_the_order_of_ends(
    workflow: Workflow, seed: int, failing: float, chance: random.Random
) -> None:
    results = []
    for executors in (1, 2, 5):
        walk = Walk(workflow, by_path(seed, failing), executors=executors, pick=chance.randrange).run()
        attempts = Counter((str(ready.path), ready.attempt, ready.agent, ready.base) for ready in walk.orders)
        statuses = {str(leaf.path): leaf.status for leaf in walk.schedule.leaves()}
        results.append((walk.schedule.passed, statuses, attempts, walk.schedule.head))
    assert results[0] == results[1] == results[2]


def test_gate_only_members_have_nothing_to_merge() -> None:
    drive = Drive((agent("a"), group("g", gate("x"), gate("y"), parallel=True))).run()
    assert [str(ready.path) for ready in drive.orders] == ["a", "g::x", "g::y"]


@pytest.mark.parametrize("most", [1, None])
def test_member_gets_its_own_failure_in_a_new_pass_in_any_order_of_starts(most: int | None) -> None:
    members = gate("check"), agent("left"), agent("right")
    steps = (group("both", *members, parallel=True, on_failure=flat(2, "same")),)
    schedule = Schedule(Workflow(name="w", steps=steps), base="base")
    passed_on: dict[str, object] = {}
    while not schedule.done:
        for ready in schedule.ready(most):
            schedule.start(ready.path)
            name = f"{ready.path}#{ready.attempt}"
            passed_on[name] = ready.failure and ready.failure.attempt
            outcome = "gate_failed" if name == "both::right#1" else "passed"
            schedule.complete(*ended(ready.path, ready.attempt, outcome, ready.agent, commit=name), own_policy)
    assert {name: attempt for name, attempt in passed_on.items() if attempt} == {"both::right#2": 1}


def test_plan_item_starts_after_a_dependency_that_has_nothing_to_merge() -> None:
    plans = items(("a", ()), ("b", ("a",)))
    drive = Drive((PLAN, build(agent("s", output="review"))), {}, plans).run()
    assert [str(ready.path) for ready in drive.orders] == ["plan", "build::s[a]", "build::s[b]"]
    assert drive.schedule.passed


def merge(parallel: ParallelPass[str, str], index: int) -> int | None:
    """Let a member pass, merge it, and return the index of the next member to merge."""
    parallel.states[index] = "passed"
    assert parallel.next_merge("", lambda _: True) == index
    parallel.states[index], parallel.merges[index] = "merged", f"merge {index}"
    return parallel.next_merge(f"tree {index}", lambda _: True)


def test_member_that_runs_again_reverts_only_the_merges_after_it() -> None:
    needs = tuple(frozenset({1}) if index == 4 else frozenset[int]() for index in range(5))
    parallel = ParallelPass[str, str](5, "base", needs=needs, after=(0, 0, 0, 0, 2))
    assert [parallel.enter() for _ in range(4)] == [(index, "base") for index in range(4)]
    assert merge(parallel, 0) is None
    parallel.failures[1], parallel.states[1] = ["failed"], "failed"
    assert parallel.next_merge("tree 0", lambda _: True) is None
    assert merge(parallel, 2) is None
    parallel.states[3], parallel.merges[3] = "merging", "merge 3"
    assert (parallel.states[4], parallel.has_more, parallel.cases()) == ("dropped", False, ["failed"])
    assert parallel.reopen(1) == ["merge 2", "merge 3"]
    assert parallel.states == ["merged", "running", "passed", "passed", "waiting"]
    assert (parallel.heads, parallel.merges, parallel.cases()) == (["base", "tree 0"], {0: "merge 0"}, [])
    assert not parallel.has_more
    assert merge(parallel, 1) == 2
    assert parallel.enter() == (4, "tree 1")


def test_member_that_has_not_failed_can_run_again() -> None:
    parallel = ParallelPass[str, str](2, "base", needs=(), after=())
    parallel.enter()
    assert merge(parallel, 0) is None
    assert parallel.reopen(0) == ["merge 0"]
    assert parallel.states == ["running", "waiting"]
    assert parallel.enter() == (1, "base")
