"""Budgets shared by attempts that run in parallel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.engine.run import shared_budget
from pytest_gump.engine.run.budget import SharedLimits, shared_limits
from pytest_gump.engine.run.shared_budget import SharedBudget, SpentOut
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import Limits, Order
from pytest_gump.workflow.model import Call, Guard, Step, Workflow
from pytest_gump.workflow.path import StepPath

from tests.engine.run.test_budget import record_of
from tests.engine.schedule_kit import agent, ended, flat, group, own_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = Step(name="a", agent="x")
A = StepPath(("a",))
WORKFLOW = Workflow(name="w", max_budget=2.0, steps=(STEP,))


def order(step: str, usd: float | None = None, scope: str = "guard") -> Order:
    limits = Limits(max_budget=usd, budget_scope=scope)  # type: ignore[arg-type]
    return Order("run", step, 1, "diff", "x", "b", "b", "b", "w1", limits=limits)


def test_attempt_reserves_its_own_limit_until_it_ends() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    own = Step(name="b", agent="x", guard=Guard(max_budget=1.0))
    assert not shared.must_wait(WORKFLOW, own, A, record)
    shared.begin(order("a", 1.0), own)
    assert shared.must_wait(WORKFLOW, own, A, record)
    assert not shared.must_wait(WORKFLOW, Step(name="c", agent="x", guard=Guard(max_budget=0.5)), A, record)
    assert not shared.must_wait(WORKFLOW, STEP, A, record)
    shared.end(order("a"))
    assert not shared.must_wait(WORKFLOW, own, A, record)


def test_cost_of_an_attempt_without_a_reservation_counts() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    shared.begin(order("a", 1.5, "run"), STEP)
    assert not shared.must_wait(WORKFLOW, STEP, A, record)
    shared.on_usage(order("a"), Usage(cost_usd=1.5))
    assert shared.must_wait(WORKFLOW, STEP, A, record)
    assert shared.spent_out(WORKFLOW, order("a"), record) == SpentOut("max_budget of $2.00 is spent: $2.00")


def test_limits_of_an_attempt_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[StepPath] = []

    def recording(workflow: Workflow, path: StepPath) -> Iterator[SharedLimits]:
        looked.append(path)
        return shared_limits(workflow, path)

    monkeypatch.setattr(shared_budget, "shared_limits", recording)
    shared, record = SharedBudget(), record_of(("p", 0.5))
    for name in ("a", "b", "a"):
        shared.begin(order(name), STEP)
        for cents in range(100):
            shared.on_usage(order(name), Usage(cost_usd=cents / 100))
            assert shared.spent_out(WORKFLOW, order(name), record) is None
        shared.end(order(name))
    assert looked == [A, StepPath(("b",)), A]


def test_usage_reported_after_the_end_of_an_attempt_is_ignored() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    shared.begin(order("a"), STEP)
    shared.end(order("a"))
    shared.on_usage(order("a"), Usage(cost_usd=5.0))
    assert shared.spent_out(WORKFLOW, order("a"), record) is None


def test_stopped_run_lets_running_attempts_finish_and_names_open_failures() -> None:
    members = (agent("a"), agent("b"), agent("c"))
    build = group("g", *members, parallel=True, on_failure=flat(2, "same: 2"))
    schedule = Schedule(Workflow(name="w", steps=(build,)), base="base")
    first, second = schedule.ready(2)
    schedule.start(first.path)
    schedule.start(second.path)
    assert schedule.complete(*ended(first.path, 1, "gate_failed"), own_policy).verdict == "again"
    skipped = schedule.stop("money is spent")
    assert [str(path) for path in skipped] == ["g::merge[a]", "g::merge[b]", "g::c", "g::merge[c]"]
    assert not schedule.done
    late = schedule.complete(*ended(second.path, 1, "budget"), own_policy)
    assert (late.verdict, late.outcome) == ("failed", "budget")
    assert [str(path) for path in late.failed] == ["g::a"]
    assert schedule.done


def test_members_of_a_group_share_its_budget() -> None:
    members = (Step(name="a", agent="x"), Step(name="b", agent="x"), Step(name="c", agent="x"))
    workflow = Workflow(name="w", steps=(Step(name="g", steps=members, parallel=True, max_budget=5.0),))
    shared, record = SharedBudget(), record_of(("g::a", 1.0))
    for name in ("g::a", "g::b"):
        shared.begin(order(name, 4.0, "step"), members[0])
    place = StepPath(("g", "c"))
    assert not shared.must_wait(workflow, members[2], place, record)
    shared.on_usage(order("g::a"), Usage(cost_usd=2.0))
    assert shared.spent_out(workflow, order("g::a"), record) is None
    shared.on_usage(order("g::b"), Usage(cost_usd=2.0))
    assert shared.must_wait(workflow, members[2], place, record)
    spent = SpentOut("max_budget of $5.00 of g is spent: $5.00", StepPath(("g",)))
    assert shared.spent_out(workflow, order("g::b"), record) == spent
    assert [spent.stops(step) for step in ("g::a", "g::b", "other", "g2::a")] == [True, True, False, False]


def test_budget_of_a_single_step_is_not_shared() -> None:
    step = Step(name="a", agent="x", max_budget=1.0)
    workflow = Workflow(name="w", steps=(step,))
    shared, record = SharedBudget(), record_of(("p", 0.5))
    shared.begin(order("a", 1.0, "step"), step)
    shared.on_usage(order("a"), Usage(cost_usd=1.2))
    assert shared.spent_out(workflow, order("a"), record) is None


def test_attempt_reserves_the_lower_of_its_limit_and_its_guard() -> None:
    own = Step(name="b", agent="x", guard=Guard(max_budget=1.0))
    for limit, must_wait in ((0.25, False), (None, True)):
        shared = SharedBudget()
        shared.begin(order("a", limit), own)
        assert shared.must_wait(WORKFLOW, own, A, record_of(("p", 0.5))) == must_wait


def test_attempt_without_its_own_limit_does_not_wait_until_the_budget_is_used() -> None:
    shared, record = SharedBudget(), record_of(("p", 1.5))
    shared.begin(order("a"), STEP)
    assert not shared.must_wait(WORKFLOW, STEP, A, record)
    shared.on_usage(order("a"), Usage(turns=3))
    assert not shared.must_wait(WORKFLOW, STEP, A, record)
    shared.on_usage(order("a"), Usage(cost_usd=0.5))
    assert shared.must_wait(WORKFLOW, STEP, A, record)


def test_attempt_without_a_guard_reserves_the_budget_of_its_step() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    capped = Step(name="b", agent="x", max_budget=1.5)
    shared.begin(order("a"), capped)
    assert shared.must_wait(WORKFLOW, STEP, A, record)


def test_end_of_an_attempt_that_never_started_changes_nothing() -> None:
    shared = SharedBudget()
    shared.end(order("a"))
    assert not shared.must_wait(WORKFLOW, STEP, A, record_of())


def group_of(usd: float) -> Workflow:
    members = (Step(name="a", agent="x"), Step(name="b", agent="x"), Step(name="c", agent="x"))
    return Workflow(name="w", steps=(Step(name="g", steps=members, parallel=True, max_budget=usd),))


def test_member_waits_for_the_budget_of_its_guard_within_its_group() -> None:
    shared, record, place = SharedBudget(), record_of(("g::a", 0.25)), StepPath(("g", "c"))
    greedy = Step(name="c", agent="x", guard=Guard(max_budget=0.5))
    shared.begin(order("other"), STEP)
    assert not shared.must_wait(group_of(0.5), greedy, place, record)
    shared.begin(order("g::b"), STEP)
    assert not shared.must_wait(group_of(0.5), STEP, place, record)
    assert not shared.must_wait(group_of(0.75), greedy, place, record)
    assert shared.must_wait(group_of(0.5), greedy, place, record)


def test_unknown_cost_does_not_count() -> None:
    shared, record = SharedBudget(), record_of(("g::a", 1.0))
    for name, usage in (("g::a", Usage(turns=1)), ("g::b", Usage(cost_usd=0.5))):
        shared.begin(order(name), STEP)
        shared.on_usage(order(name), usage)
    assert shared.spent_out(group_of(2.0), order("g::a"), record) is None
    assert shared.spent_out(group_of(1.5), order("g::c"), record) == SpentOut(
        "max_budget of $1.50 of g is spent: $1.50", StepPath(("g",))
    )


def test_limits_of_time_and_tokens_end_a_run_with_running_attempts() -> None:
    record = record_of(("p", 0.5))
    timed = Workflow(name="w", max_time=1.0, steps=(STEP,))
    assert SharedBudget().spent_out(timed, order("a"), record) == SpentOut("max_time of 1.0s is over")
    shared = SharedBudget()
    shared.begin(order("a"), STEP)
    shared.on_usage(order("a"), Usage(Tokens(output=50)))
    counted = Workflow(name="w", max_tokens=150, steps=(STEP,))
    assert shared.spent_out(counted, order("a"), record) == SpentOut("max_tokens of 150 is used up: 150")
    assert shared.spent_out(Workflow(name="w", steps=(STEP,)), order("b"), record) is None


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_budget": 2.0}, "max_budget of $2.00 of call is spent: $2.00"),
        ({"max_tokens": 250}, "max_tokens of 250 of call is used up: 260"),
        ({"max_time": 10.0}, "max_time of 10s of call is over"),
    ],
)
def test_running_attempts_of_a_call_share_its_limits(limits: dict[str, Any], reason: str) -> None:
    members = (Step(name="a", agent="x"), Step(name="b", agent="x"))
    call = Step(
        name="call", steps=(Step(name="g", steps=members, parallel=True),), call=Call("c", "c", {}, {}, **limits)
    )
    workflow = Workflow(name="w", steps=(call, STEP))
    now = [1.0]
    shared, record = SharedBudget(lambda: now[0]), record_of(("call::g::a", 1.0))
    shared.begin(order("call::g::a"), members[0])
    now[0] = 2.0
    shared.begin(order("call::g::b"), members[1])
    now[0] = 5.875
    for name in ("a", "b"):
        shared.on_usage(order(f"call::g::{name}"), Usage(Tokens(output=70), 0.25))
        assert shared.spent_out(workflow, order(f"call::g::{name}"), record) is None
    now[0] = 6.0
    shared.on_usage(order("call::g::b"), Usage(Tokens(output=90), 0.75))
    assert shared.spent_out(workflow, order("call::g::b"), record) == SpentOut(reason, StepPath(("call",)))
