"""What attempts that run at the same time may spend of one run's money."""

from __future__ import annotations

from pytest_gump.agents.base import Usage
from pytest_gump.engine.order import Limits, Order
from pytest_gump.engine.schedule import Done, Schedule
from pytest_gump.engine.shared_budget import SharedBudget
from pytest_gump.workflow.model import Guard, Step, Workflow

from tests.engine.schedule_kit import agent, flat, group, own_policy
from tests.engine.test_budget import record_of

STEP = Step(name="a", agent="x")
WORKFLOW = Workflow(name="w", max_budget=2.0, steps=(STEP,))


def order(step: str, usd: float | None = None, scope: str = "guard") -> Order:
    limits = Limits(max_budget=usd, budget_scope=scope)  # type: ignore[arg-type]
    return Order("run", step, 1, "diff", "x", "b", "b", "b", "w1", limits=limits)


def test_attempt_reserves_its_own_limit_until_it_ends() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    own = Step(name="b", agent="x", guard=Guard(max_budget=1.0))
    assert not shared.must_wait(WORKFLOW, own, record)
    shared.begin(order("a", 1.0))
    assert shared.must_wait(WORKFLOW, own, record)
    assert not shared.must_wait(WORKFLOW, Step(name="c", agent="x", guard=Guard(max_budget=0.5)), record)
    assert not shared.must_wait(WORKFLOW, STEP, record)
    shared.end(order("a"))
    assert not shared.must_wait(WORKFLOW, own, record)


def test_what_an_attempt_has_used_counts_where_it_reserved_nothing() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    shared.begin(order("a", 1.5, "run"))
    assert not shared.must_wait(WORKFLOW, STEP, record)
    shared.hear(order("a"), Usage(cost_usd=1.5))
    assert shared.must_wait(WORKFLOW, STEP, record)
    assert shared.spent_out(WORKFLOW, record) == "max_budget of $2.00 is spent: $2.0000"


def test_late_word_of_an_attempt_that_has_ended_is_not_counted() -> None:
    shared, record = SharedBudget(), record_of(("p", 0.5))
    shared.begin(order("a"))
    shared.end(order("a"))
    shared.hear(order("a"), Usage(cost_usd=5.0))
    assert shared.spent_out(WORKFLOW, record) is None


def test_run_that_is_stopped_lets_finish_what_is_in_flight_and_names_what_was_open() -> None:
    members = (agent("a"), agent("b"), agent("c"))
    build = group("g", *members, parallel=True, on_failure=flat(2, "same: 2"))
    schedule = Schedule(Workflow(name="w", steps=(build,)), base="base")
    first, second = schedule.ready(2)
    schedule.start(first.path)
    schedule.start(second.path)
    assert schedule.complete(Done(first.path, 1, "gate_failed"), own_policy).verdict == "again"
    skipped = schedule.stop("money is spent")
    assert [str(path) for path in skipped] == ["g::merge[a]", "g::merge[b]", "g::c", "g::merge[c]"]
    assert not schedule.done
    late = schedule.complete(Done(second.path, 1, "budget"), own_policy)
    assert (late.verdict, late.outcome) == ("failed", "budget")
    assert [str(path) for path in late.failed] == ["g::a"]
    assert schedule.done
