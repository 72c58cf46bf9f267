from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from pytest_gump.agents.base import Ending, Note, Text, ToolCall, Turn, UsageSeen
from pytest_gump.agents.usage import Provenance, Tokens, Usage
from pytest_gump.engine.checks.guard import Breach, GuardWatch, shared_breach
from pytest_gump.order import Limits

if TYPE_CHECKING:
    from pytest_gump.agents.base import Event


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watch(limits: Limits, clock: Clock | None = None) -> GuardWatch:
    return GuardWatch(limits, may_write=lambda path: path == ".gump/out/plan.json", clock=clock or Clock())


def usage(*, cost: float | None = None, tokens: int = 0, provenance: Provenance = "reported") -> UsageSeen:
    return UsageSeen(Usage(Tokens(input=tokens), cost, provenance if cost is not None else "unknown"))


def test_turn_above_the_limit_is_a_breach() -> None:
    guard = watch(Limits(max_turns=2))
    assert guard.feed(Turn(1)) is None
    assert guard.feed(Turn(2)) is None
    assert guard.feed(Turn(3)) == Breach("max_turns", "guard max_turns: turn 3 began, 2 are allowed")


def test_cost_up_to_the_budget_is_allowed_and_more_is_a_breach() -> None:
    guard = watch(Limits(max_budget=0.5))
    assert guard.feed(usage(cost=0.5)) is None
    assert guard.feed(usage(cost=0.51)) == Breach("max_budget", "guard max_budget: $0.51 spent of $0.50")


def test_reason_names_the_runs_budget_and_marks_an_estimate() -> None:
    breach = watch(Limits(max_budget=0.5, budget_scope="run")).feed(usage(cost=0.75, provenance="estimated"))
    assert breach is not None
    assert breach.reason == "the run's max_budget: ~$0.75 spent of $0.50"


def test_unknown_cost_is_neither_zero_nor_a_breach() -> None:
    assert watch(Limits(max_budget=0.01)).feed(usage(tokens=10**9)) is None


def test_tokens_of_all_kinds_count() -> None:
    guard = watch(Limits(max_tokens=100))
    assert guard.feed(UsageSeen(Usage(Tokens(20, 20, 20, 20, 20)))) is None
    breach = guard.feed(UsageSeen(Usage(Tokens(20, 20, 20, 20, 21))))
    assert breach == Breach("max_tokens", "guard max_tokens: 101 tokens of 100")


def test_running_until_the_time_limit_is_a_breach() -> None:
    clock = Clock()
    guard = watch(Limits(max_time_s=90), clock)
    clock.now += 89.9
    assert guard.tick() is None
    clock.now += 0.1
    assert guard.tick() == Breach("max_time", "guard max_time: still running after 1m30s")


def test_every_line_of_output_restarts_the_silence_limit() -> None:
    clock = Clock()
    guard = watch(Limits(silence_s=30), clock)
    clock.now += 29
    guard.on_output()
    clock.now += 29
    assert guard.tick() is None
    clock.now += 1
    assert guard.tick() == Breach("silence", "guard silence: printed nothing for 30s")


def test_no_write_allows_only_the_output_file() -> None:
    guard = watch(Limits(no_write=True))
    assert guard.feed(ToolCall("Write", path=".gump/out/plan.json")) is None
    assert guard.feed(ToolCall("Bash", command="echo > a")) is None
    assert guard.feed(ToolCall("Edit", path="a.py")) == Breach("no_write", "guard no_write: Edit writes 'a.py'")


def test_nothing_is_a_breach_without_limits() -> None:
    clock = Clock()
    guard = watch(Limits(), clock)
    clock.now += 10**6
    events: list[Event] = [
        Turn(10**4),
        Text("x"),
        Note("y"),
        usage(cost=1e4, tokens=10**9),
        ToolCall("Write", path="a.py"),
    ]
    assert [guard.feed(event) for event in events] == [None] * 5
    assert guard.tick() is None


@pytest.mark.parametrize(
    ("scope", "of", "whose"),
    [
        ("run", "", "the run's max_budget"),
        ("step", "", "the step's max_budget"),
        ("call", "build::review[one]", "max_budget of build::review[one]"),
    ],
)
def test_reason_for_a_shared_budget_has_the_figures_of_the_workflow(
    scope: Literal["run", "step", "call"], of: str, whose: str
) -> None:
    guard = watch(Limits(max_budget=0.04, budget_scope=scope, budget_of=of, budget_spent=0.06))
    breach = guard.feed(usage(cost=0.06))
    assert breach == Breach("max_budget", f"{whose}: $0.12 spent of $0.10")


def test_reason_for_a_shared_time_limit_has_the_figures_of_the_workflow() -> None:
    clock = Clock()
    guard = watch(Limits(max_time_s=5, time_scope="run", time_spent_s=55), clock)
    clock.now += 5
    assert guard.tick() == Breach("max_time", "the run's max_time: still running after 1m")


@pytest.mark.parametrize(
    ("limit", "scope", "whose"),
    [
        ("max_turns", "run", "guard max_turns"),
        ("max_budget", "guard", "guard max_budget"),
        ("max_budget", "run", "the run's max_budget"),
    ],
)
def test_reason_for_a_limit_applied_by_the_cli_names_its_owner(
    limit: Literal["max_turns", "max_budget"], scope: Literal["run", "guard"], whose: str
) -> None:
    ending = Ending("agent_error", "it says so", "", Usage(), None, limit=limit)
    assert watch(Limits(budget_scope=scope)).limit_of_cli(ending) == Breach(limit, f"{whose}: it says so")


@pytest.mark.parametrize(
    ("reason", "guard"),
    [
        ("max_budget of $2.00 is spent: $2.00", "max_budget"),
        ("max_tokens of 100 is used up: 100", "max_tokens"),
        ("max_time of 1m is over", "max_time"),
        ("max_time of the step max_budget is over", "max_time"),
        ("max_tokens, and max_time too", "max_tokens"),
        ("max_budget, and max_time too", "max_budget"),
        ("the account is empty", "max_budget"),
    ],
)
def test_shared_limit_is_the_first_one_in_the_reason(reason: str, guard: str) -> None:
    assert shared_breach(reason) == Breach(guard, reason, is_shared=True)  # type: ignore[arg-type]


def test_agent_error_without_a_limit_is_not_a_breach() -> None:
    ending = Ending("agent_error", "it says so", "", Usage(), None)
    assert watch(Limits(max_budget=1.0)).limit_of_cli(ending) is None


def test_seconds_without_output_are_counted_from_the_last_line() -> None:
    clock = Clock()
    guard = watch(Limits(), clock)
    clock.now += 7
    assert guard.silent_s == 7
    guard.on_output()
    clock.now += 2
    assert guard.silent_s == 2
