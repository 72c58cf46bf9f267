"""Views of a schedule: its leaves in display order, its running parallel members, its signature, and reasons of skips."""

from __future__ import annotations

import pytest
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import PlanItem
from pytest_gump.workflow.model import GateSpec, Step, Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule_kit import Drive, agent, ended, flat, gate, group, own_policy, plan

PLAN = agent("plan", output="plan")
GATES = (GateSpec(name="test"),)


def schedule_of(*steps: Step) -> Schedule:
    return Schedule(Workflow(name="w", steps=steps), base="base")


def finish(schedule: Schedule, *paths: str, outcome: str = "passed") -> None:
    for path in paths:
        (ready,) = [one for one in schedule.ready() if str(one.path) == path]
        schedule.start(ready.path)
        items = plan("one", "two") if ready.mode == "plan" else None
        schedule.complete(*ended(ready.path, ready.attempt, outcome, commit=path, plan=items), own_policy)


def living(schedule: Schedule) -> set[str]:
    return {str(path) for path in schedule.living()}


def listed(schedule: Schedule) -> list[str]:
    """Return `build::impl[one] 2 passed` for each leaf."""
    return [f"{leaf.path} {leaf.attempts} {leaf.status}" for leaf in schedule.leaves()]


def test_steps_that_have_not_started_are_listed_with_gates_and_merges() -> None:
    build = group("build", agent("a"), agent("b"), foreach="plan", parallel=True, gate=GATES)
    both = group("both", group("left", agent("l"), gate=GATES), agent("r", output="review"), parallel=True)
    schedule = schedule_of(PLAN, build, both)
    pending = [
        "build::a[*] 0 pending",
        "build::b[*] 0 pending",
        "build::merge[*] 0 pending",
        "build::gate 0 pending",
        "both::left::l 0 pending",
        "both::left::gate 0 pending",
        "both::merge[left] 0 pending",
        "both::r 0 pending",
    ]
    assert listed(schedule) == ["plan 1 running", *pending]
    assert [leaf.template for leaf in schedule.leaves()] == [False, *[True] * 3, *[False] * 5]
    finish(schedule, "plan")
    assert listed(schedule)[1] == "build::a[one] 0 pending"
    schedule.ready()
    assert listed(schedule)[:8] == [
        "plan 1 passed",
        "build::a[one] 1 running",
        "build::b[one] 0 pending",
        "build::merge[one] 0 pending",
        "build::a[two] 1 running",
        "build::b[two] 0 pending",
        "build::merge[two] 0 pending",
        "build::gate 0 pending",
    ]


def test_steps_of_a_nested_foreach_are_listed_for_each_known_item() -> None:
    parts = group("parts", agent("do"), foreach="split", parallel=True)
    build = group("build", agent("split", output="plan"), parts, gate("check"), foreach="plan")
    schedule = schedule_of(PLAN, build)
    assert [line.split()[0] for line in listed(schedule)] == [
        "plan", "build::split[*]", "build::parts::do[*--*]", "build::parts::merge[*--*]", "build::check[*]",
    ]  # fmt: skip
    finish(schedule, "plan", "build::split[one]")
    assert [line.split()[0] for line in listed(schedule)] == [
        "plan",
        "build::split[one]",
        "build::parts::do[one--one]",
        "build::parts::merge[one--one]",
        "build::parts::do[one--two]",
        "build::parts::merge[one--two]",
        "build::check[one]",
        "build::split[two]",
        "build::parts::do[two--*]",
        "build::parts::merge[two--*]",
        "build::check[two]",
    ]


def test_attempts_in_flight_of_a_failed_run_are_running_and_other_steps_skipped() -> None:
    schedule = schedule_of(group("g", agent("a"), agent("b"), parallel=True, gate=GATES), agent("z"))
    first, second = schedule.ready()
    schedule.start(second.path)
    schedule.start(first.path)
    schedule.complete(*ended(first.path, 1, "gate_error"), own_policy)
    rest = ["g::merge[b] 0 skipped", "g::gate 0 skipped", "z 0 skipped"]
    assert listed(schedule) == ["g::a 1 failed", "g::merge[a] 0 skipped", "g::b 1 running", *rest]


def test_member_is_running_from_its_first_step_to_its_merge() -> None:
    schedule = schedule_of(PLAN, group("build", agent("a"), agent("b"), foreach="plan", parallel=True))
    assert living(schedule) == set()
    finish(schedule, "plan")
    assert living(schedule) == set()
    schedule.ready()
    assert living(schedule) == {"build[one]", "build[two]"}
    finish(schedule, "build::a[one]", "build::b[one]")
    assert living(schedule) == {"build[two]"}
    finish(schedule, "build::merge[one]", "build::a[two]", "build::b[two]")
    assert living(schedule) == set()


def test_members_after_a_waiting_member_are_running() -> None:
    schedule = schedule_of(PLAN, group("build", agent("a"), foreach="plan", parallel=True, gate=GATES))
    items = PlanItem("x", "x"), PlanItem("y", "y", depends_on=("x",)), PlanItem("z", "z")
    schedule.complete(*ended(StepPath(("plan",)), 1, plan=items), own_policy)
    schedule.ready()
    assert living(schedule) == {"build[x]", "build[z]"}
    finish(schedule, *(f"build::{step}[{slug}]" for slug in "xyz" for step in ("a", "merge")))
    assert [str(ready.path) for ready in schedule.ready()] == ["build::gate"]
    assert living(schedule) == set()


def test_known_plan_items_are_listed_before_the_foreach_starts() -> None:
    schedule = schedule_of(PLAN, agent("between"), group("build", agent("a"), foreach="plan", parallel=True))
    finish(schedule, "plan")
    assert [line.split()[0] for line in listed(schedule)] == [
        "plan", "between", "build::a[one]", "build::merge[one]", "build::a[two]", "build::merge[two]",
    ]  # fmt: skip


def test_failed_member_is_not_running() -> None:
    schedule = schedule_of(group("g", agent("a"), agent("b"), parallel=True), agent("z"))
    schedule.ready()
    finish(schedule, "g::a", outcome="gate_failed")
    assert living(schedule) == {"g::b"}


def test_member_is_running_together_with_the_members_inside_it() -> None:
    inner = group("inner", agent("x"), agent("y"), parallel=True)
    schedule = schedule_of(group("outer", group("left", agent("l"), inner), agent("right"), parallel=True))
    schedule.ready()
    assert living(schedule) == {"outer::left", "outer::right"}
    finish(schedule, "outer::left::l")
    schedule.ready()
    assert living(schedule) == {"outer::left", "outer::left::inner::x", "outer::left::inner::y", "outer::right"}
    finish(schedule, "outer::left::inner::x", "outer::left::inner::merge[x]")
    assert living(schedule) == {"outer::left", "outer::left::inner::y", "outer::right"}


def test_members_of_a_parallel_group_in_a_serial_group_are_found() -> None:
    schedule = schedule_of(group("g", group("h", agent("a"), agent("b"), parallel=True)))
    schedule.ready()
    assert living(schedule) == {"g::h::a", "g::h::b"}


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("alone", None),
        ("outer::left::inner::x", "outer::left::inner::x"),
        ("outer::left::inner::deep::d", "outer::left::inner::deep"),
        ("outer::right", "outer::right"),
    ],
)
def test_step_belongs_to_its_innermost_parallel_member(path: str, member: str | None) -> None:
    inner = group("inner", agent("x"), group("deep", agent("d")), parallel=True)
    schedule = schedule_of(agent("alone"), group("outer", group("left", inner), agent("right"), parallel=True))
    if path != "alone":
        finish(schedule, "alone")
        schedule.ready()
    found = schedule.member_of(StepPath.parse(path))
    assert (str(found) if found else None) == member


def test_merge_belongs_to_a_member_and_gates_of_the_group_do_not() -> None:
    schedule = schedule_of(group("g", agent("a"), agent("b"), parallel=True, gate=GATES))
    finish(schedule, "g::a")
    assert schedule.member_of(StepPath.parse("g::merge[a]")) == StepPath.parse("g::merge[a]")
    finish(schedule, "g::merge[a]", "g::b", "g::merge[b]")
    assert schedule.member_of(StepPath.parse("g::gate")) is None


# -- signature -----------------------------------------------------------------------------------------------------

SERIAL = agent("a", on_failure=flat(9, "same: 2", "replan: opus", restart_from="a")), agent("b")


def after(steps: tuple[Step, ...], *ends: str) -> object:
    """Return the signature after these ends of the first offered attempts: `passed`, `gate_failed/commit`."""
    schedule = schedule_of(*steps)
    for end in ends:
        ready = schedule.ready(1)[0]
        outcome, _, commit = end.partition("/")
        items = plan("one", "two") if ready.mode == "plan" and outcome == "passed" else None
        result = ended(ready.path, ready.attempt, outcome, ready.agent, commit=commit or None, plan=items)
        schedule.complete(*result, own_policy)
    schedule.ready()
    return schedule.signature()


@pytest.mark.parametrize(
    "ends",
    [
        (),
        ("passed/x",),
        ("passed/y",),
        ("crashed",),
        ("gate_failed/x",),
        ("gate_failed/y",),
        ("gate_failed/x", "passed/x"),
        ("gate_failed/x", "gate_failed/y"),
        ("gate_failed/x", "gate_failed/y", "passed"),
        ("gate_failed/x", "gate_failed/y", "passed", "passed/z"),
        ("gate_error",),
        ("passed/x", "passed/x"),
    ],
)
def test_signature_is_equal_only_after_the_same_attempts(ends: tuple[str, ...]) -> None:
    others = [(), ("passed/z",), ("gate_failed/z",), ("crashed", "crashed"), ("gate_failed/x", "gate_failed/z")]
    assert after(SERIAL, *ends) == after(SERIAL, *ends)
    assert [other for other in others if other != ends and after(SERIAL, *other) == after(SERIAL, *ends)] == []


def test_signature_depends_on_the_ended_members_and_their_trees() -> None:
    steps = (group("g", agent("a"), agent("b"), agent("c"), parallel=True),)
    ends = [
        (),
        ("passed/x",),
        ("passed/y",),
        ("passed/x", "passed/x"),
        ("gate_failed/x",),
        ("gate_failed/x", "passed/x"),
    ]
    states = [after(steps, *end) for end in ends]
    assert len({*states}) == len(ends)
    assert states == [after(steps, *end) for end in ends]


def reasons(drive: Drive) -> list[tuple[str, list[str]]]:
    """Return the steps that the last attempt of a run skipped, by reason."""
    skipped = drive.run().settled[-1].skipped
    by_reason = drive.schedule.by_reason(skipped, drive.schedule.reason)
    return [(reason, [*map(str, paths)]) for reason, paths in by_reason]


def test_steps_of_failed_members_name_the_failure_of_their_member() -> None:
    members = group("a", agent("x"), agent("y")), group("b", agent("x"), agent("y")), group("c", agent("x"))
    fails = {"all::a::x": ["gate_failed"], "all::b::x": ["guard"]}
    drive = Drive((group("all", *members, parallel=True), agent("z")), fails)
    assert reasons(drive) == [
        ("all::a::x failed: gate_failed", ["all::a::y", "all::merge[a]"]),
        ("all::b::x failed: guard", ["all::b::y", "all::merge[b]"]),
        ("all::a::x failed: gate_failed", ["z"]),
    ]


def test_plan_item_names_the_failure_of_the_item_that_it_depends_on() -> None:
    needs = {"a": (), "b": (), "c": ("b",), "d": ("c",)}
    items = tuple(PlanItem(name=name, slug=name, depends_on=names) for name, names in needs.items())
    fails = {"build::s[a]": ["gate_failed"], "build::s[b]": ["guard"]}
    drive = Drive((PLAN, group("build", agent("s"), foreach="plan", parallel=True)), fails, {"plan": items})
    rest = ["build::merge[b]", "build::s[c]", "build::merge[c]", "build::s[d]", "build::merge[d]"]
    assert reasons(drive) == [
        ("build::s[a] failed: gate_failed", ["build::merge[a]"]),
        ("build::s[b] failed: guard", rest),
    ]


def test_innermost_failed_member_counts() -> None:
    inner = group("in", group("a", agent("x"), agent("y")), group("b", agent("x"), agent("y")), parallel=True)
    members = group("one", inner, agent("after")), agent("two")
    fails = {"out::one::in::a::x": ["gate_failed"], "out::one::in::b::x": ["guard"]}
    assert reasons(Drive((group("out", *members, parallel=True),), fails)) == [
        ("out::one::in::a::x failed: gate_failed", ["out::one::in::a::y", "out::one::in::merge[a]"]),
        ("out::one::in::b::x failed: guard", ["out::one::in::b::y", "out::one::in::merge[b]"]),
        ("out::one::in::a::x failed: gate_failed", ["out::one::after", "out::merge[one]"]),
    ]
