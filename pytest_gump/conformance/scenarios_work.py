"""What a CLI does when nothing goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import SessionRef
from pytest_gump.conformance.bench import SLOT
from pytest_gump.conformance.model.script import Answer, Shell, Spent, Write, script
from pytest_gump.conformance.scenario import Scenario, expect, expect_passed, expect_that
from pytest_gump.conformance.subjects import KEY
from pytest_gump.workflow.model import GateSpec

if TYPE_CHECKING:
    from pytest_gump.agents.base import Usage
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.engine.order import AttemptResult

WORK: Final = (
    Answer("I will write the file.", (Write("greeting.txt", "hello\n"),)),
    Answer("Now I run the tests.", (Shell("sh copy.sh"),)),
    Answer("All is done."),
)


def basic(bench: Bench) -> str:
    """A file is written, a command is run, a gate judges it, and the tokens served are the tokens booked."""
    with bench.serving(script(*WORK)) as server:
        result = bench.attempt(gates=(GateSpec("bash", "grep -q hello copied.txt"),))
    expect_passed(result)
    expect(bench.file(result, "greeting.txt"), "hello\n", "the file that it wrote")
    expect(bench.file(result, "copied.txt"), "hello\n", "what its command wrote")
    expect(result.message, "All is done.", "its last words")
    expect(len(server.main), 3, "requests to the model")
    expect_usage(bench, result.usage, answers=3)
    expect_no_key(result)
    expect(set(server.strays) - bench.subject.strays, set(), "other hosts that it looked for")
    expect_that(all(one.with_key for one in server.main), "a request came without the key")
    return f"{result.timings.agent_s:.1f} s"


def expect_usage(bench: Bench, usage: Usage, *, answers: int) -> None:
    """Exactly what the server gave, however the CLI counts."""
    spent, tokens = Spent(), usage.tokens
    writes = spent.cache_write if bench.subject.cli == "claude" else 0
    expect(tokens.input, spent.input * answers, "fresh input tokens")
    expect(tokens.cache_read, spent.cache_read * answers, "tokens read from the cache")
    expect(tokens.cache_write, writes * answers, "tokens written to the cache")
    expect(tokens.output + tokens.reasoning, spent.output * answers, "output and reasoning tokens")
    if bench.subject.cli != "codex":  # its stream does not mark them
        expect(usage.turns, answers, "turns")
    expect(usage.cost_usd is None, bench.subject.unpriced, "cost unknown")


def expect_no_key(result: AttemptResult) -> None:
    """Neither what is kept of the attempt nor its result holds the key."""
    for path in Path(str(result.scratch)).rglob("*"):
        expect_that(path.is_dir() or KEY.encode() not in path.read_bytes(), f"the key stands in {path.name}")
    expect_that(KEY not in repr(result), "the key stands in the result")


def resume(bench: Bench) -> str:
    """The next attempt goes on with the conversation of the first, and books its own tokens only."""
    with bench.serving(script(*WORK)) as server:
        first = bench.attempt()
        expect_passed(first)
        expect_that(first.session is not None, "no session was named")
        asked = len(server.main)
        second = bench.attempt(attempt=2, base=str(first.snapshot), session=first.session)
    expect_passed(second)
    expect_that("Now I run the tests." in server.main[asked].text, "the second conversation does not hold the first")
    expect_usage(bench, second.usage, answers=3)
    return ""


def lost_session(bench: Bench) -> str:
    """The conversation that is to go on does not exist: the attempt is made all the same, and says so."""
    gone = SessionRef(bench.subject.no_session, bench.subject.cli, SLOT, cost_usd=0.0)
    with bench.serving(script(*WORK)):
        result = bench.attempt(attempt=2, session=gone)
    expect_passed(result)
    expect_that(any("lost its session" in note for note in result.notes), f"it does not say so: {result.notes}")
    expect_usage(bench, result.usage, answers=3)
    return ""


SCENARIOS: Final = (
    Scenario("basic", "writes a file, runs a command, passes a gate; tokens are booked exactly", basic),
    Scenario("resume", "goes on with an earlier conversation; only the new tokens are booked", resume),
    Scenario("lost-session", "begins afresh, and says so, where the conversation to go on with is gone", lost_session),
)
