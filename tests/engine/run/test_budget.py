"""The budget that is left for the next attempt."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.usage import NOTHING_USED, Tokens, Usage
from pytest_gump.engine.record.fold import advance
from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.run.budget import limits_of, refusal, run_is_over, shared_limits, spent_out
from pytest_gump.order import AttemptResult, Limits, Order, Outcome, Timings, to_wire
from pytest_gump.workflow.model import Call, GateSpec, Guard, Step, Workflow
from pytest_gump.workflow.path import StepPath, declared

from tests.engine.recorded_run import RecordedRun, killed_after, number_of, outcomes
from tests.engine.schedule.test_schedule_properties import workflows
from tests.kits.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator


def record_of(*spent: tuple[str, float]) -> RunRecord:
    """Return a run with attempts of these costs, by step path. Each attempt used 100 tokens."""
    record = RunRecord()
    for number, (step, usd) in enumerate(spent, 1):
        common = {"at": float(number), "number": number}
        advance(
            record,
            {
                "event": "attempt_started",
                "step": step,
                "attempt": number,
                "mode": "diff",
                "agent": "a",
                "entry": "first",
                "step_base": "",
                **common,
            },
        )
        result = AttemptResult(
            step=step,
            attempt=number,
            outcome=Outcome.GATE_FAILED,
            reason="",
            agent="a",
            timings=Timings(0, 1),
            usage=Usage(Tokens(input=100), usd, "reported", 1),
        )
        advance(record, {"event": "attempt_finished", "folder": None, "result": to_wire(result), **common})
    return record


IMPL = Step(name="impl", agent="a", max_budget=2.0, guard=Guard(max_budget=1.5))
WORKFLOW = Workflow(
    name="w",
    max_budget=10.0,
    steps=(
        Step(name="plan", agent="a", output="plan"),
        Step(name="build", foreach="plan", max_budget=3.0, steps=(IMPL,)),
    ),
)
ONE, TWO = StepPath(("build", "impl"), ("one",)), StepPath(("build", "impl"), ("two",))


def budget(workflow: Workflow, step: Step, path: StepPath, record: RunRecord) -> tuple[float | None, str, float]:
    """Return the budget of the next attempt in US dollars, its scope, and the cost so far in this scope."""
    limits = limits_of(workflow, step, path, record)
    return limits.max_budget, limits.budget_scope, limits.budget_spent


@pytest.mark.parametrize(
    ("spent", "left"),
    [
        ((), (1.5, "guard", 0.0)),
        ((("build::impl[one]", 0.75),), (1.25, "step", 0.75)),
        ((("build::impl--replan::item[one--x]", 0.75),), (1.25, "step", 0.75)),
        ((("build::impl[two]", 1.0),), (1.5, "guard", 0.0)),
        ((("build::impl[two]", 2.0),), (1.0, "step", 2.0)),
        ((("plan", 9.5),), (0.5, "run", 9.5)),
        ((("build::impl[one]", 2.5),), (-0.5, "step", 2.5)),
    ],
)
def test_budget_is_the_smallest_rest_of_guard_step_group_and_run(
    spent: tuple[tuple[str, float], ...], left: tuple[float | None, str, float]
) -> None:
    assert budget(WORKFLOW, IMPL, ONE, record_of(*spent)) == left


def test_context_workflow_of_a_step_spends_the_budget_of_the_step() -> None:
    look = Step(name="look", agent="a", output="artifact")
    call = Step(name="impl--context-c", steps=(look,), call=Call("c", "c.yaml", {}, {}, max_budget=5.0))
    build = Step(name="build", foreach="plan", steps=(call, IMPL))
    workflow = Workflow("w", (Step(name="plan", agent="a", output="plan"), build))
    path = StepPath(("build", call.name, "look"), ("one",))
    record = record_of((str(path), 0.25), ("build::impl[one]", 0.5), ("build::impl[two]", 0.5))
    assert budget(workflow, look, path, record) == (1.25, "step", 0.75)
    assert budget(workflow, IMPL, ONE, record) == (1.25, "step", 0.75)


def test_attempt_without_limits_has_no_budget() -> None:
    step = Step(name="impl", agent="a")
    assert budget(Workflow(name="w", steps=(step,)), step, StepPath(("impl",)), record_of(("impl", 9.0))) == (
        None,
        "guard",
        0.0,
    )


def test_every_attempt_counts_for_the_budget_of_the_run() -> None:
    record = record_of(("plan", 6.0), ("build::impl[one]", 4.0))
    assert spent_out(WORKFLOW, record) == "max_budget of $10.00 is spent: $10.00"
    assert spent_out(WORKFLOW, record_of(("plan", 9.99))) is None


def test_run_has_limits_of_tokens_and_time_too() -> None:
    record = record_of(("plan", 0.0))
    assert spent_out(Workflow(name="w", max_tokens=100, steps=(IMPL,)), record) == "max_tokens of 100 is used up: 100"
    assert spent_out(Workflow(name="w", max_time=1.0, steps=(IMPL,)), record) == "max_time of 1.0s is over"
    assert spent_out(Workflow(name="w", max_tokens=101, max_time=2.0, steps=(IMPL,)), record) is None


def test_cost_of_an_attempt_that_never_ended_is_unknown_and_not_zero() -> None:
    record = record_of(("plan", 1.0))
    started = {"event": "attempt_started", "at": 9.0, "number": 2, "step": "build::impl[one]", "attempt": 1}
    advance(record, {**started, "mode": "diff", "agent": "a", "entry": "first", "step_base": ""})
    assert (record.total.cost_usd, record.total.unknown) == (1.0, 1)


def test_lost_attempt_of_unknown_cost_counts_with_its_limit() -> None:
    record = record_of(("plan", 1.0), ("build::impl[one]", 0.5))
    lost(record, "build::impl[two]", Usage(), presumed_usd=1.5)
    assert (record.total.cost_usd, record.total.unknown, record.total.bound_usd) == (1.5, 1, 3.0)
    assert budget(WORKFLOW, IMPL, TWO, record) == (0.5, "step", 1.5)
    tight = Workflow(name="w", max_budget=3.0, steps=WORKFLOW.steps)
    assert spent_out(tight, record) == "max_budget of $3.00 is spent: $1.50, and up to $1.50 of unknown cost"


def test_attempt_lost_before_its_agent_started_costs_nothing() -> None:
    record = record_of()
    lost(record, "plan", NOTHING_USED, presumed_usd=None)
    assert (record.total.unknown, record.total.bound_usd) == (0, 0.0)


def lost(record: RunRecord, step: str, usage: Usage, *, presumed_usd: float | None) -> None:
    number = len(record.attempts) + 1
    started = {"event": "attempt_started", "step": step, "attempt": 1, "mode": "diff", "agent": "a", "entry": "first"}
    advance(record, {**started, "at": 1.0, "number": number, "step_base": ""})
    result = AttemptResult(step, 1, Outcome.CRASHED, "lost", "a", Timings(0, 1), usage=usage)
    finished = {"event": "attempt_finished", "folder": None, "result": to_wire(result), "presumed_usd": presumed_usd}
    advance(record, {**finished, "at": 2.0, "number": number})


def test_refusal_names_the_cost_and_the_budget_of_the_step() -> None:
    record = record_of(("build::impl[one]", 2.5))
    refused = refusal(WORKFLOW, record, limits_of(WORKFLOW, IMPL, ONE, record))
    assert refused == "the step's max_budget is spent: $2.50 of $2.00"
    assert refusal(WORKFLOW, record, limits_of(WORKFLOW, IMPL, TWO, record)) is None


def test_attempt_may_start_while_any_budget_is_left() -> None:
    record = record_of(("build::impl[one]", 0.5))
    assert refusal(WORKFLOW, record, Limits(max_budget=0.01)) is None
    refused = refusal(WORKFLOW, record, Limits(max_budget=0.0, budget_spent=1.0, budget_scope="step"))
    assert refused == "the step's max_budget is spent: $1.00 of $1.00"


def test_no_attempt_starts_after_a_limit_of_the_run_is_reached() -> None:
    tight = Workflow(name="w", max_tokens=100, steps=WORKFLOW.steps)
    assert refusal(tight, record_of(("plan", 1.0)), Limits(max_budget=-1.0)) == "max_tokens of 100 is used up: 100"
    assert refusal(tight, record_of(), Limits()) is None


def test_usage_of_running_attempts_counts_if_it_is_given() -> None:
    record = record_of(("plan", 1.0))
    more = record.total.plus(Usage(Tokens(input=50), 9.0, "reported"), 0.0, unknown=False)
    assert spent_out(WORKFLOW, record) is None
    assert spent_out(WORKFLOW, record, more) == "max_budget of $10.00 is spent: $10.00"


def test_limits_of_turns_and_tokens_are_from_the_guard() -> None:
    step = Step(name="a", agent="x", guard=Guard(max_turns=7, max_tokens=900))
    limits = limits_of(Workflow(name="w", max_tokens=5, steps=(step,)), step, StepPath(("a",)), record_of())
    assert limits == Limits(max_turns=7, max_tokens=900)


@pytest.mark.parametrize(
    ("own", "run", "limits"),
    [
        (None, None, Limits()),
        (30.0, None, Limits(max_time_s=30.0)),
        (30.0, 100.0, Limits(max_time_s=30.0)),
        (50.0, 100.0, Limits(max_time_s=50.0)),
        (50.5, 100.0, Limits(max_time_s=50.0, time_scope="run", time_spent_s=50.0)),
        (None, 100.0, Limits(max_time_s=50.0, time_scope="run", time_spent_s=50.0)),
        (None, 50.25, Limits(max_time_s=1.0, time_scope="run", time_spent_s=49.25)),
        (9.0, 40.0, Limits(max_time_s=1.0, time_scope="run", time_spent_s=39.0)),
    ],
)
def test_time_limit_is_that_of_the_attempt_or_the_rest_of_the_run(
    own: float | None, run: float | None, limits: Limits
) -> None:
    step = Step(name="a", agent="x", guard=Guard(max_time=own))
    workflow = Workflow(name="w", max_time=run, steps=(step,))
    assert limits_of(workflow, step, StepPath(("a",)), RunRecord(started=100.0, last_at=150.0)) == limits


NESTED = Workflow(
    name="w",
    steps=(
        Step(name="plan", agent="a", output="plan"),
        Step(
            name="all",
            foreach="plan",
            max_budget=9.0,
            steps=(
                Step(
                    name="group",
                    max_budget=8.0,
                    steps=(
                        Step(name="parts", foreach="split", steps=(Step(name="impl", agent="a", max_budget=7.0),)),
                        Step(name="free", agent="a"),
                    ),
                ),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("plan", {}),
        ("nowhere::impl", {}),
        ("all::group::free[x]", {"all": 9.0, "all::group[x]": 8.0}),
        ("all::nowhere[x]", {"all": 9.0}),
        ("all::group::parts::impl[x--y]", {"all": 9.0, "all::group[x]": 8.0, "all::group::parts::impl[x--y]": 7.0}),
        (
            "all::group::parts::impl--replan::item[x--y--z]",
            {"all": 9.0, "all::group[x]": 8.0, "all::group::parts::impl[x--y]": 7.0},
        ),
    ],
)
def test_budgets_of_a_step_and_its_groups_apply_per_plan_item(path: str, found: dict[str, float]) -> None:
    assert {str(each.scope): each.max_budget for each in shared_limits(NESTED, StepPath.parse(path))} == found


# -- calls -----------------------------------------------------------------------------------------------------------


def calling(call: Call, **guard: Any) -> tuple[Workflow, Step]:
    inner = Step(name="look", agent="a", guard=Guard(**guard))
    outer = Step(name="review", foreach="plan", steps=(inner,), call=call)
    return Workflow(name="w", steps=(Step(name="plan", agent="a", output="plan"), outer)), inner


LOOK_ONE, LOOK_TWO = StepPath(("review", "look"), ("one",)), StepPath(("review", "look"), ("two",))
SPENT = (("review::look[one]", 0.25), ("review::look[one]", 0.25), ("plan", 5.0))


def test_the_budget_of_a_called_workflow_is_that_of_each_call() -> None:
    workflow, inner = calling(Call("review", "f", {}, {}, max_budget=1.0))
    assert budget(workflow, inner, LOOK_ONE, record_of(*SPENT)) == (0.5, "call", 0.5)
    assert budget(workflow, inner, LOOK_TWO, record_of(*SPENT)) == (1.0, "call", 0.0)


@pytest.mark.parametrize(
    ("limit", "own", "expected"),
    [(1000, None, (800, "call", 200)), (1000, 500, (500, "guard", 0)), (250, 100, (50, "call", 200))],
)
def test_the_tokens_of_a_called_workflow_are_shared_by_its_attempts(
    limit: int, own: int | None, expected: tuple[int, str, int]
) -> None:
    workflow, inner = calling(Call("review", "f", {}, {}, max_tokens=limit), max_tokens=own)
    limits = limits_of(workflow, inner, LOOK_ONE, record_of(*SPENT))
    assert (limits.max_tokens, limits.tokens_scope, limits.tokens_spent) == expected
    assert refusal(workflow, record_of(*SPENT), limits) is None


def test_the_time_of_a_called_workflow_is_the_sum_of_its_attempts() -> None:
    workflow, inner = calling(Call("review", "f", {}, {}, max_time=10.0))
    limits = limits_of(workflow, inner, LOOK_ONE, record_of(*SPENT))
    assert (limits.max_time_s, limits.time_scope, limits.time_spent_s) == (8.0, "call", 2.0)
    assert limits_of(workflow, inner, LOOK_TWO, record_of(*SPENT)).max_time_s == 10.0


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call("review", "f", {}, {}, max_tokens=200), "max_tokens of review[one] is used up: 200 of 200 tokens"),
        (Call("review", "f", {}, {}, max_tokens=150), "max_tokens of review[one] is used up: 200 of 150 tokens"),
        (Call("review", "f", {}, {}, max_time=2.0), "max_time of review[one] is over: 2.0s"),
        (Call("review", "f", {}, {}, max_budget=0.5), "max_budget of review[one] is spent: $0.50 of $0.50"),
    ],
)
def test_an_agent_does_not_start_when_a_limit_of_its_call_is_reached(call: Call, reason: str) -> None:
    workflow, inner = calling(call)
    record = record_of(*SPENT)
    assert refusal(workflow, record, limits_of(workflow, inner, LOOK_ONE, record)) == reason
    assert refusal(workflow, record, limits_of(workflow, inner, LOOK_TWO, record)) is None


def test_own_limits_win_over_equal_ones_of_a_call() -> None:
    workflow, inner = calling(Call("review", "f", {}, {}, max_tokens=1000, max_time=10.0), max_tokens=800, max_time=8.0)
    limits = limits_of(workflow, inner, LOOK_ONE, record_of(*SPENT))
    assert (limits.max_tokens, limits.tokens_scope, limits.max_time_s) == (800, "guard", 8.0)
    assert limits.time_scope != "call"


def test_an_agent_starts_with_the_last_token_of_its_call() -> None:
    workflow, inner = calling(Call("review", "f", {}, {}, max_tokens=201))
    record = record_of(*SPENT)
    assert refusal(workflow, record, limits_of(workflow, inner, LOOK_ONE, record)) is None


def test_steps_of_a_validator_of_a_group_have_their_own_budgets() -> None:
    look = Step(name="look", agent="a", output="review", max_budget=0.5)
    review = Step(name="validate-v", steps=(look,), call=Call("v", "v", {}, {}, max_budget=2.0))
    build = Step(name="build", steps=(IMPL,), gate=(GateSpec("validate", "v"),), validators=(review,), max_budget=9.0)
    path = StepPath(("build", "gate--validate-v", "look"))
    found = {str(each.scope): each.max_budget for each in shared_limits(Workflow("w", (build,)), path)}
    assert found == {"build": 9.0, "build::gate--validate-v::look": 0.5, "build::gate--validate-v": 2.0}


@pytest.mark.parametrize(
    ("most", "scope", "outcome", "expected"),
    [
        (None, "run", Outcome.BUDGET, "why"),
        (None, "step", Outcome.BUDGET, None),
        (1.0, "step", Outcome.BUDGET, "max_budget of $1.00 is spent: $2.00"),
        (1.0, "run", Outcome.BUDGET, "max_budget of $1.00 is spent: $2.00"),
        (1.0, "run", Outcome.GATE_FAILED, None),
    ],
)
def test_a_run_is_over_when_its_own_budget_is_spent(
    most: float | None, scope: Any, outcome: Outcome, expected: str | None
) -> None:
    workflow = Workflow(name="w", max_budget=most, steps=(IMPL,))
    order = Order("r", "impl", 1, "diff", "a", "0", "0", "0", "w1", limits=Limits(budget_scope=scope))
    result = AttemptResult("impl", 1, outcome, "why", "a", Timings(0, 1))
    assert run_is_over(order, result, workflow, record_of(("impl", 2.0))) == expected


def test_limits_name_the_group_or_call_that_they_belong_to() -> None:
    free = StepPath.parse("all::group::free[x]")
    impl = StepPath.parse("all::group::parts::impl[x--y]")
    spent = record_of(("all::group::parts::impl[x--y]", 1.0), ("all::group::free[z]", 4.0))
    assert limits_of(NESTED, Step(name="free"), free, spent).budget_of == "all"
    assert limits_of(NESTED, Step(name="impl"), impl, record_of()).budget_of == "", "of the step itself"
    assert limits_of(NESTED, Step(name="free"), free, record_of()).budget_of == "all::group[x]"


# -- whole runs ------------------------------------------------------------------------------------------------------


def limited(
    steps: tuple[Step, ...], above: tuple[str, ...] = (), items: int = 0
) -> Iterator[tuple[tuple[str, ...], int, float]]:
    """Yield path, number of plan items and budget of all steps and calls that have a budget."""
    for step in steps:
        path, inside = (*above, step.name), items + (step.foreach is not None)
        if step.max_budget is not None:
            yield path, items, step.max_budget
        if step.call is not None and step.call.max_budget is not None:
            yield path, inside, step.call.max_budget
        yield from limited(step.steps, path, inside)
        for validator in step.validators:
            if validator.call is not None and validator.call.max_budget is not None:
                yield (*above, f"{step.name}--{validator.name}"), items, validator.call.max_budget


def is_inside(names: tuple[str, ...], path: tuple[str, ...]) -> bool:
    depth = len(path)
    last = names[depth - 1 : depth]
    return names[: depth - 1] == path[:-1] and bool(last) and path[-1] in {last[0], declared(last[0])}


@examples(120)
@given(workflows(), st.integers(0, 10_000), st.sampled_from([None, 2.0, 8.0]), st.lists(st.integers(1, 40), max_size=3))
def test_runs_that_are_killed_and_resumed_stay_within_all_limits(
    workflow: Workflow, seed: int, most: float | None, kills: list[int]
) -> None:
    workflow = replace(workflow, max_budget=most)
    run = RecordedRun(
        workflow, outcomes(seed, 20), cost=lambda path, attempt: number_of(seed, str(path), attempt, "cost") % 8 / 8
    )
    for events in kills:
        run.run(killed_after(run, events))
        if run.schedule.passed:
            break
        run = run.resumed()
    run.run()
    paid = [(StepPath.parse(one.step), one.result.usage.cost_usd or 0.0) for one in run.record.attempts if one.result]
    assert most is None or sum(usd for _, usd in paid) <= most
    for path, items, limit in limited(workflow.steps):
        spent: Counter[tuple[str, ...]] = Counter()
        for step, usd in paid:
            if is_inside(step.names, path):
                spent[step.items[:items]] += usd  # type: ignore[assignment]
        assert max(spent.values(), default=0.0) <= limit
