"""Much at once: long prompts, long outputs, several runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pytest_gump.conformance.model.script import Answer, Shell, script
from pytest_gump.conformance.scenario import Scenario, expect, expect_passed, expect_that
from pytest_gump.conformance.scenarios_work import WORK
from pytest_gump.order import Section

if TYPE_CHECKING:
    from pytest_gump.conformance.bench import Bench

LONG: Final = 300_000
AT_ONCE: Final = 4


def long_prompt(bench: Bench) -> str:
    filling = "Nothing but filling. " * (LONG // 21)
    with bench.serving(script(Answer("Read."))) as server:
        result = bench.attempt(head=(Section("Your task", f"It begins here. {filling}It ends here."),))
    expect_passed(result)
    prompt = server.main[0].asked.prompt or ""
    expect_that(f"It begins here. {filling}It ends here." in prompt, f"only {len(prompt)} characters arrived whole")
    return ""


def long_output(bench: Bench) -> str:
    """A command prints 2 MB: no line is lost, and the run goes on."""
    with bench.serving(script(Answer("I look.", (Shell("sh flood.sh"),)), Answer("Seen."))) as server:
        result = bench.attempt()
    expect_passed(result)
    expect(result.message, "Seen.", "its last words")
    told = server.main[1].text.count("of much output that nobody needs")
    expect_that(told, "the model did not get the output")
    return f"{told * 33 // 1000} KB of it went to the model"


def four_at_once(bench: Bench) -> str:
    """In four worktrees, with one home folder."""
    if bench.subject.begins_alone:
        with bench.serving(script(Answer("Here."))):
            expect_passed(bench.attempt())
    slots = [f"slot-{number}" for number in range(AT_ONCE)]
    with bench.serving(script(*WORK)), ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda slot: bench.attempt(slot=slot, step=slot), slots))
    for result in results:
        expect_passed(result)
        expect(bench.file(result, "copied.txt"), "hello\n", f"what the command of {result.step} wrote")
    expect(len({result.session.id for result in results if result.session}), AT_ONCE, "different sessions")
    return f"{max(result.timings.agent_s for result in results):.1f} s"


SCENARIOS: Final = (
    Scenario("long-prompt", "a prompt of 300 KB arrives whole", long_prompt),
    Scenario("long-output", "a command that prints 2 MB ends neither the run nor its reading", long_output),
    Scenario("four-at-once", "four runs at once, one home folder", four_at_once),
)
