"""A scenario, and the helpers for its checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_gump.conformance.bench import Fails
from pytest_gump.conformance.model.script import Spent
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from psutil import Process

    from pytest_gump.agents.usage import Usage
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.order import AttemptResult


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    title: str
    """The behaviour that the scenario expects, or the fault that it causes."""
    check: Callable[[Bench], str]
    """Raises Fails, or returns a figure or a remark for the user, which may be empty."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """CLIs that it does not apply to, and why."""


def expect(seen: object, wanted: object, what: str) -> None:
    if seen != wanted:
        raise Fails(f"{what}: {seen!r}, not {wanted!r}")


def expect_that(holds: object, otherwise: str) -> None:
    if not holds:
        raise Fails(otherwise)


def expect_passed(result: AttemptResult) -> None:
    expect_outcome(result, Outcome.PASSED)


def expect_outcome(result: AttemptResult, *wanted: Outcome, guard: str | None = None) -> None:
    if result.outcome not in wanted:
        raise Fails(f"ended as {result.outcome}, not {' or '.join(wanted)}: {result.reason or 'no reason given'}")
    if guard is not None and result.guard != guard:
        raise Fails(f"stopped by {result.guard}, not {guard}: {result.reason}")


def expect_none(processes: Collection[Process]) -> None:
    expect_that(not processes, f"still running: {[process.name() for process in processes]}")


def expect_usage(bench: Bench, usage: Usage, *, answers: int) -> None:
    """Expect exactly the usage that the server sent, as each CLI counts it."""
    spent, tokens = Spent(), usage.tokens
    writes = spent.cache_write if bench.subject.cli == "claude" else 0
    expect(tokens.input, spent.input * answers, "fresh input tokens")
    expect(tokens.cache_read, spent.cache_read * answers, "tokens read from the cache")
    expect(tokens.cache_write, writes * answers, "tokens written to the cache")
    expect(tokens.written, spent.output * answers, "output and reasoning tokens")
    if bench.subject.cli != "codex":  # its stream does not mark answers
        expect(usage.turns, answers, "turns")
    expect_that(usage.cost_usd is not None, "the cost is unknown")
