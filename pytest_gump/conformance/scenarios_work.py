"""What a CLI does when nothing goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.conformance.model.script import Answer, Shell, Write, script
from pytest_gump.conformance.scenario import Scenario, expect, expect_passed, expect_that, expect_usage
from pytest_gump.conformance.subjects import KEY
from pytest_gump.workflow.model import GateSpec

if TYPE_CHECKING:
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.order import AttemptResult

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


def expect_no_key(result: AttemptResult) -> None:
    """Neither what is kept of the attempt nor its result holds the key."""
    for path in Path(str(result.scratch)).rglob("*"):
        expect_that(path.is_dir() or KEY.encode() not in path.read_bytes(), f"the key stands in {path.name}")
    expect_that(KEY not in repr(result), "the key stands in the result")


SCENARIOS: Final = (
    Scenario("basic", "writes a file, runs a command, passes a gate; tokens are booked exactly", basic),
)
