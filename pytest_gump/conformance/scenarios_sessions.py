"""Conversations that go on, that are copied, and that are gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import SessionRef, forks_of
from pytest_gump.agents.registry import resolve
from pytest_gump.conformance.bench import SLOT
from pytest_gump.conformance.model.script import Answer, Scene, Script, Write, script
from pytest_gump.conformance.scenario import Scenario, expect, expect_passed, expect_that, expect_usage
from pytest_gump.conformance.scenarios_work import WORK
from pytest_gump.order import Section

if TYPE_CHECKING:
    from pytest_gump.conformance.bench import Bench
    from pytest_gump.conformance.model.server import ModelServer
    from pytest_gump.order import AttemptResult


def resume(bench: Bench) -> str:
    """The next attempt continues the conversation of the first, and counts its own tokens only."""
    with bench.serving(script(*WORK)) as server:
        first = bench.attempt()
        expect_passed(first)
        expect_that(first.session is not None, "no session was named")
        asked = len(server.main)
        second = bench.attempt(attempt=2, base=str(first.snapshot), session=first.session)
    expect_passed(second)
    expect_that(len(server.main) > asked, "the second attempt asked the model nothing")
    expect_that("Now I run the tests." in server.main[asked].text, "the second conversation does not hold the first")
    expect_usage(bench, second.usage, answers=3)
    return ""


ONE: Final = "Take the first way."
OTHER: Final = "Take the second way."
ON: Final = "Go on as before."
AGAIN: Final = "Go on in the first way."


def fork(bench: Bench) -> str:
    """Two copies know the conversation and not each other; the conversation itself knows neither, and goes on."""
    anywhere = forks_of(resolve(bench.subject.agent)) == "anywhere"
    ways = Scene((Answer("I write.", (Write("way.txt", "mine\n"),)), Answer("Went there.")), match="way.")
    on = Scene((Answer("Went on."),), match="Go on")
    with bench.serving(Script((on, ways, Scene(WORK)))) as server:
        first = bench.attempt()
        expect_passed(first)
        slots = ("slot-2", "slot-3") if anywhere else (SLOT, SLOT)
        with ThreadPoolExecutor(2 if anywhere else 1) as pool:
            copy, second = pool.map(lambda prompt, slot: _go_on(bench, first, prompt, slot), (ONE, OTHER), slots)
        again = _go_on(bench, copy, AGAIN, slots[0], fork=False)
        original = _go_on(bench, first, ON, SLOT, fork=False)
    for result, way in ((copy, ONE), (second, OTHER)):
        expect_usage(bench, result.usage, answers=2)
        expect(bench.file(result, "way.txt"), "mine\n", "the file that it wrote")
        _expect_known(server, way, knows=("All is done.",))
    expect(len({_id(result) for result in (first, copy, second)}), 3, "different sessions")
    expect((_id(again), _id(original)), (_id(copy), _id(first)), "the sessions that were gone on with")
    expect_usage(bench, again.usage, answers=1)
    _expect_known(server, AGAIN, knows=("All is done.", ONE))
    expect_usage(bench, original.usage, answers=1)
    _expect_known(server, ON, knows=("All is done.",))
    return "in any worktree" if anywhere else "in the worktree of the conversation"


def _go_on(bench: Bench, before: AttemptResult, prompt: str, slot: str, *, fork: bool = True) -> AttemptResult:
    changes = {"head": (Section("Your task", prompt),), "base": str(before.snapshot), "slot": slot}
    result = bench.attempt(attempt=2, step=slot, session=before.session, fork=fork, **changes)
    expect_passed(result)
    expect_that(not result.session_lost, f"it began afresh: {result.notes}")
    return result


def _id(result: AttemptResult) -> str | None:
    return None if result.session is None else result.session.id


def _expect_known(server: ModelServer, prompt: str, *, knows: tuple[str, ...]) -> None:
    """What the model was sent with a prompt: all that belongs to its conversation, and nothing of the others."""
    request = next(served for served in server.main if prompt in (served.request.prompt or ""))
    for text in knows:
        expect_that(text in request.text, f"with {prompt!r}, the model does not get {text!r}")
    for text in {ONE, OTHER, ON, AGAIN} - {prompt, *knows}:
        expect_that(text not in request.text, f"with {prompt!r}, the model gets {text!r}")


def lost_session(bench: Bench) -> str:
    """The conversation that is to go on does not exist: the attempt is made all the same, and says so."""
    gone = SessionRef(bench.subject.no_session, bench.subject.cli, SLOT, cost_usd=0.0)
    with bench.serving(script(*WORK)):
        results = [bench.attempt(attempt=2, session=gone, fork=fork) for fork in (False, True)]
    for result in results:
        expect_passed(result)
        expect_that(any("lost its session" in note for note in result.notes), f"it does not say so: {result.notes}")
        expect_usage(bench, result.usage, answers=3)
    return ""


SCENARIOS: Final = (
    Scenario("resume", "continues an earlier conversation; only the new tokens are counted", resume),
    Scenario("fork", "begins with copies of a conversation, which goes on without them", fork),
    Scenario("lost-session", "starts a new conversation, and says so, if the one to continue is gone", lost_session),
)
