from __future__ import annotations

import pytest
from pytest_gump.workflow.path import StepPath

from tests.engine.schedule_kit import Drive, agent, ended, flat, gate, group, own_policy, plan, tdd


def test_steps_run_in_order_on_the_tree_of_the_step_before() -> None:
    drive = Drive((agent("a"), agent("b"), gate("check"))).run()
    assert drive.log == ["a 1 haiku", "b 1 haiku", "check 1 -"]
    assert [ready.base for ready in drive.orders] == ["base", "a#1", "b#1"]
    assert [ready.step_base for ready in drive.orders] == ["base", "a#1", "b#1"]
    assert (drive.schedule.passed, drive.schedule.head) == (True, "b#1")


def test_foreach_runs_its_steps_for_each_plan_item() -> None:
    drive = Drive(tdd().steps, plans={"decompose": plan("one", "two")}).run()
    assert [str(ready.path) for ready in drive.orders] == [
        "decompose",
        "build::tests[one]",
        "build::impl[one]",
        "build::tests[two]",
        "build::impl[two]",
        "quality",
    ]
    assert [item.slug for item in drive.orders[2].items] == ["one"]
    assert drive.orders[1].base == "base"


def test_nested_foreach_joins_the_slugs() -> None:
    inner = group("parts", agent("do"), foreach="split")
    steps = (
        agent("decompose", output="plan"),
        group("build", agent("split", output="plan"), inner, foreach="decompose"),
    )
    drive = Drive(steps, plans={"decompose": plan("x", "y"), "build::split[y]": plan("z")}).run()
    assert [str(ready.path) for ready in drive.orders] == [
        "decompose",
        "build::split[x]",
        "build::parts::do[x--one]",
        "build::parts::do[x--two]",
        "build::split[y]",
        "build::parts::do[y--z]",
    ]


def test_documented_example_escalates_restarts_and_fails_at_the_fifth_failure() -> None:
    drive = Drive(tdd().steps, {"build::impl[one]": ["gate_failed"] * 5}).run()
    assert drive.log == [
        "decompose 1 opus",
        "build::tests[one] 1 haiku",
        "build::impl[one] 1 haiku",
        "build::impl[one] 2 haiku",
        "build::impl[one] 3 haiku",
        "build::impl[one] 4 sonnet",
        "build::tests[one] 2 haiku",
        "build::impl[one] 5 haiku",
    ]
    assert [settled.verdict for settled in drive.settled[2:]] == [
        "retried",
        "retried",
        "escalated",
        "again",
        "passed",
        "failed",
    ]
    assert not drive.schedule.passed
    assert drive.schedule.head == "build::tests[one]#2"


def test_first_attempt_after_a_restart_is_fresh_and_has_the_later_failure() -> None:
    drive = Drive(tdd().steps, {"build::impl[one]": ["gate_failed"] * 4}).run()
    again = drive.orders[6]
    assert (str(again.path), again.entry, again.session, again.base) == (
        "build::tests[one]",
        "restart",
        "fresh",
        "base",
    )
    assert str(again.failed) == "build::impl[one]"
    assert again.failure is not None
    assert again.failure.attempt == 4
    assert (drive.orders[7].entry, drive.orders[7].session, drive.orders[7].failure) == ("restart", "policy", None)


def test_entry_same_keeps_the_failed_tree_and_escalate_resets_it() -> None:
    steps = (agent("a"), agent("b", on_failure=flat(3, "same: 2", "escalate: sonnet")))
    drive = Drive(steps, {"b": ["gate_failed"] * 2}).run()
    _, first, same, escalated = drive.orders
    assert (first.base, same.base, escalated.base) == ("a#1", "b#1", "a#1")
    assert (same.entry, same.session, escalated.entry, escalated.session) == ("same", "resume", "escalate", "fresh")
    assert {ready.step_base for ready in drive.orders[1:]} == {"a#1"}


def test_entry_same_after_the_guard_no_write_keeps_the_base() -> None:
    drive = Drive((agent("a", on_failure=flat(2, "same: 2")),), {"a": ["guard/no_write"]})
    drive.run()
    assert [ready.base for ready in drive.orders] == ["base", "base"]


def test_read_only_steps_do_not_change_the_tree() -> None:
    steps = (agent("a"), agent("r", output="review", on_failure=flat(2, "same: 2")), agent("b"))
    drive = Drive(steps, {"r": ["review_failed"]}).run()
    assert [ready.base for ready in drive.orders] == ["base", "a#1", "a#1", "a#1"]


def test_failure_without_a_policy_is_final_and_later_steps_are_skipped() -> None:
    drive = Drive((agent("a"), agent("b"), group("g", agent("c"))), {"b": ["gate_failed"]}).run()
    assert drive.statuses == {"a": "passed", "b": "failed", "g::c": "skipped"}
    assert drive.settled[-1].skipped == (StepPath(("g", "c")),)
    assert drive.schedule.ready() == []
    assert drive.schedule.head == "a#1"


@pytest.mark.parametrize("outcome", ["gate_error", "budget", "cancelled", "quota"])
def test_outcomes_that_are_never_retried_fail_the_run_without_a_decision(outcome: str) -> None:
    steps = (group("g", agent("a", on_failure=flat(3, "same: 3")), on_failure=flat(3, "same: 3")),)
    drive = Drive(steps, {"g::a": [outcome]}).run()
    assert (drive.settled[-1].verdict, drive.settled[-1].outcome) == ("failed", outcome)
    assert drive.settled[-1].decisions == []


def test_crash_is_repeated_once_with_the_same_number_and_entry() -> None:
    drive = Drive((agent("a", on_failure=flat(2, "same: 2")),), {"a": ["gate_failed", "crashed", "passed"]}).run()
    assert drive.log == ["a 1 haiku", "a 2 haiku", "a 2 haiku"]
    assert drive.orders[1] == drive.orders[2]
    assert drive.settled[1].notes == ["the worker was lost: the attempt is repeated once under the same number"]
    assert drive.schedule.passed


def test_second_crash_of_an_attempt_is_final() -> None:
    drive = Drive((agent("a", on_failure=flat(3, "same: 3")),), {"a": ["crashed", "crashed"]}).run()
    assert [settled.verdict for settled in drive.settled] == ["retried", "failed"]


def test_leaves_are_templates_until_the_plan_is_known() -> None:
    drive = Drive(tdd().steps)
    assert list(drive.statuses.items())[:2] == [("decompose", "running"), ("build::tests[*]", "pending")]
    assert [leaf.template for leaf in drive.schedule.leaves()] == [False, True, True, False]
    drive.step()
    assert list(drive.statuses) == [
        "decompose",
        "build::tests[one]",
        "build::impl[one]",
        "build::tests[two]",
        "build::impl[two]",
        "quality",
    ]


def test_abort_returns_all_unfinished_steps() -> None:
    drive = Drive(tdd().steps)
    drive.step()
    skipped = drive.schedule.abort("the run's $5.00 are spent")
    assert len(skipped) == 5
    assert (drive.schedule.done, drive.schedule.passed, drive.schedule.ready()) == (True, False, [])
    assert drive.schedule.reason == "the run's $5.00 are spent"
    assert drive.schedule.abort("again") == ()
    assert drive.schedule.reason == "the run's $5.00 are spent"


def test_ended_run_is_not_ended_again() -> None:
    passed = Drive((agent("a"),)).run()
    assert (passed.schedule.stop("late"), passed.schedule.abort("late"), passed.schedule.reason) == ((), (), "")
    assert passed.schedule.passed
    failed = Drive((agent("a"), agent("b")), {"a": ["gate_failed"]}).run()
    assert (failed.schedule.stop("late"), failed.schedule.abort("late")) == ((), ())
    assert failed.schedule.reason == "a failed: gate_failed"


def test_stop_sets_the_reason_and_returns_steps_that_never_started() -> None:
    drive = Drive((agent("a"), agent("b")))
    assert [str(path) for path in drive.schedule.stop("the budget is spent")] == ["a", "b"]
    assert (drive.schedule.reason, drive.schedule.done) == ("the budget is spent", True)


def test_abort_of_a_failed_run_returns_the_attempts_in_flight() -> None:
    steps = (group("g", agent("a"), agent("b"), parallel=True),)
    drive = Drive(steps)
    first, second = drive.schedule.ready()
    for ready in (first, second):
        drive.schedule.start(ready.path)
    drive.schedule.complete(*ended(first.path, 1, "gate_error"), drive.decide)
    assert drive.schedule.abort("interrupted") == (second.path,)
    assert (drive.schedule.done, drive.schedule.reason) == (True, "g::a failed: gate_error")


def test_only_the_requested_number_of_members_starts() -> None:
    schedule = Drive((group("g", agent("a"), agent("b"), agent("c"), parallel=True),)).schedule
    schedule.ready(1)
    assert [leaf.status for leaf in schedule.leaves() if "merge" not in str(leaf.path)] == [
        "running",
        "pending",
        "pending",
    ]
    schedule.start(StepPath(("g", "c")))
    assert [str(ready.path) for ready in schedule.ready()] == ["g::a", "g::b"]


def test_merge_is_offered_after_its_member_and_before_the_next_member() -> None:
    schedule = Drive((group("g", agent("a"), group("h", agent("x"), agent("y")), agent("z"), parallel=True),)).schedule
    for name in ("g::a", "g::h::x"):
        (ready,) = [ready for ready in schedule.ready() if str(ready.path) == name]
        schedule.complete(*ended(ready.path, 1, commit=name), own_policy)
    assert [str(ready.path) for ready in schedule.ready()] == ["g::merge[a]", "g::h::y", "g::z"]
    assert [str(ready.path) for ready in schedule.ready(2)] == ["g::merge[a]", "g::h::y"]


def test_start_of_a_step_that_is_not_open_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^no attempt of b is open$"):
        Drive((agent("a"), agent("b"))).schedule.start(StepPath(("b",)))


def test_completion_of_an_attempt_that_is_not_open_is_an_error() -> None:
    drive = Drive((agent("a"),))
    with pytest.raises(ValueError, match="attempt 2 of a is not open"):
        drive.schedule.complete(*ended(StepPath(("a",)), 2), drive.decide)
    assert [ready.attempt for ready in drive.schedule.ready()] == [1]


def test_merges_are_offered_in_plan_order_after_any_order_of_ends() -> None:
    inner = group("h", agent("x"), agent("y"), parallel=True)
    schedule = Drive((group("g", inner, agent("b"), parallel=True),)).schedule
    schedule.ready()
    for name in ("g::b", "g::h::y", "g::h::x"):
        (ready,) = [ready for ready in schedule.ready() if str(ready.path) == name]
        schedule.complete(*ended(ready.path, 1, commit=name), own_policy)
    assert [str(ready.path) for ready in schedule.ready()] == ["g::h::merge[x]"]
