"""Runs of a CLI without errors: simple work, long prompts and outputs, several runs in parallel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.conformance.model.script import Answer, Shell, Write, script
from pytest_gump.conformance.scenario import Scenario, expect, expect_passed, expect_that, expect_usage
from pytest_gump.conformance.subjects import KEY
from pytest_gump.order import Section
from pytest_gump.workflow.model import GateSpec

if TYPE_CHECKING:
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.order import AttemptResult

WORK: Final = (
    Answer("I will write the file.", (Write("greeting.txt", "hello\n"),)),
    Answer("Now I run the tests.", (Shell("sh copy.sh"),)),
    Answer("All is done."),
)

LONG: Final = 300_000
AT_ONCE: Final = 4


def basic(bench: Bench) -> str:
    """The CLI writes a file and runs a command, a gate checks both, and the recorded tokens are those served."""
    result = bench.play(*WORK, gates=(GateSpec("bash", "grep -q hello copied.txt"),))
    expect_passed(result)
    expect(bench.file(result, "greeting.txt"), "hello\n", "the file that the CLI wrote")
    expect(bench.file(result, "copied.txt"), "hello\n", "what its command wrote")
    expect(result.message, "All is done.", "the final message")
    expect(len(bench.server.main), 3, "requests to the model")
    expect_usage(bench, result.usage, answers=3)
    expect_no_key(result)
    expect(set(bench.server.strays) - bench.subject.strays, set(), "requests to other hosts")
    expect_that(all(request.with_key for request in bench.server.main), "a request came without the key")
    return f"{result.timings.agent_s:.1f} s"


def expect_no_key(result: AttemptResult) -> None:
    """Expect that neither the stored files of the attempt nor its result contain the key."""
    for path in Path(str(result.scratch)).rglob("*"):
        expect_that(path.is_dir() or KEY.encode() not in path.read_bytes(), f"{path.name} contains the key")
    expect_that(KEY not in repr(result), "the result contains the key")


def long_prompt(bench: Bench) -> str:
    filling = "Nothing but filling. " * (LONG // 21)
    result = bench.play(Answer("Read."), head=(Section("Your task", f"It begins here. {filling}It ends here."),))
    expect_passed(result)
    expect_that(bench.server.main, "the CLI sent no request to the model")
    prompt = bench.server.main[0].request.prompt or ""
    expect_that(f"It begins here. {filling}It ends here." in prompt, f"an incomplete prompt: {len(prompt)} characters")
    return ""


def long_output(bench: Bench) -> str:
    """A command prints 2 MB: no line is lost, and the run continues."""
    result = bench.play(Answer("I look.", (Shell("sh flood.sh"),)), Answer("Seen."))
    expect_passed(result)
    expect(result.message, "Seen.", "the final message")
    sent = bench.server.main[1].text.count("of much output that nobody needs")
    expect_that(sent, "the model did not get the output")
    return f"{sent * 33 // 1000} KB of it went to the model"


def four_at_once(bench: Bench) -> str:
    """Run four attempts in parallel, in four worktrees with one home folder."""
    if bench.subject.begins_alone:
        expect_passed(bench.play(Answer("Here.")))
    slots = [f"slot-{number}" for number in range(AT_ONCE)]
    with bench.serving(script(*WORK)), ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda slot: bench.attempt(slot=slot, step=slot), slots))
    for result in results:
        expect_passed(result)
        expect(bench.file(result, "copied.txt"), "hello\n", f"what the command of {result.step} wrote")
    expect(len({result.session.id for result in results if result.session}), AT_ONCE, "different session ids")
    return f"{max(result.timings.agent_s for result in results):.1f} s"


SCENARIOS: Final = (
    Scenario("basic", "writes a file, runs a command, passes a gate; the recorded tokens are exact", basic),
    Scenario("long-prompt", "a prompt of 300 KB arrives completely", long_prompt),
    Scenario("long-output", "a command that prints 2 MB does not end the run", long_output),
    Scenario("four-at-once", "four runs in parallel pass, with one home folder", four_at_once),
)
