"""Conversations that are resumed, copied or lost."""

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
    """The second attempt resumes the conversation of the first, and counts only its own tokens."""
    with bench.serving(script(*WORK)) as server:
        first = bench.attempt()
        expect_passed(first)
        expect_that(first.session is not None, "the stream has no session id")
        asked = len(server.main)
        second = bench.attempt(attempt=2, base=str(first.snapshot), session=first.session)
    expect_passed(second)
    expect_that(len(server.main) > asked, "the second attempt sent no request to the model")
    expect_that("Now I run the tests." in server.main[asked].text, "the second conversation does not contain the first")
    expect_usage(bench, second.usage, answers=3)
    return ""


ONE: Final = "Take the first way."
OTHER: Final = "Take the second way."
ON: Final = "Go on as before."
AGAIN: Final = "Go on in the first way."


def fork(bench: Bench) -> str:
    """Two copies contain the original but not each other; the original contains neither, and can be resumed."""
    anywhere = forks_of(resolve(bench.subject.agent)) == "anywhere"
    ways = Scene((Answer("I write.", (Write("way.txt", "mine\n"),)), Answer("Went there.")), match="way.")
    on = Scene((Answer("Went on."),), match="Go on")
    with bench.serving(Script((on, ways, Scene(WORK)))) as server:
        first = bench.attempt()
        expect_passed(first)
        slots = ("slot-2", "slot-3") if anywhere else (SLOT, SLOT)
        with ThreadPoolExecutor(2 if anywhere else 1) as pool:
            copy, second = pool.map(lambda prompt, slot: _continue(bench, first, prompt, slot), (ONE, OTHER), slots)
        again = _continue(bench, copy, AGAIN, slots[0], fork=False)
        original = _continue(bench, first, ON, SLOT, fork=False)
    for result, way in ((copy, ONE), (second, OTHER)):
        expect_usage(bench, result.usage, answers=2)
        expect(bench.file(result, "way.txt"), "mine\n", "the file that the CLI wrote")
        _expect_context(server, way, knows=("All is done.",))
    expect(len({_id(result) for result in (first, copy, second)}), 3, "different session ids")
    expect((_id(again), _id(original)), (_id(copy), _id(first)), "the resumed session ids")
    expect_usage(bench, again.usage, answers=1)
    _expect_context(server, AGAIN, knows=("All is done.", ONE))
    expect_usage(bench, original.usage, answers=1)
    _expect_context(server, ON, knows=("All is done.",))
    return "in any worktree" if anywhere else "in the worktree of the original"


def _continue(bench: Bench, before: AttemptResult, prompt: str, slot: str, *, fork: bool = True) -> AttemptResult:
    changes = {"head": (Section("Your task", prompt),), "base": str(before.snapshot), "slot": slot}
    result = bench.attempt(attempt=2, step=slot, session=before.session, fork=fork, **changes)
    expect_passed(result)
    expect_that(not result.session_lost, f"a new conversation was started: {result.notes}")
    return result


def _id(result: AttemptResult) -> str | None:
    return None if result.session is None else result.session.id


def _expect_context(server: ModelServer, prompt: str, *, knows: tuple[str, ...]) -> None:
    """Expect that the request with a prompt contains `knows`, and no prompt of another conversation."""
    request = next(served for served in server.main if prompt in (served.request.prompt or ""))
    for text in knows:
        expect_that(text in request.text, f"with {prompt!r}, the model does not get {text!r}")
    for text in {ONE, OTHER, ON, AGAIN} - {prompt, *knows}:
        expect_that(text not in request.text, f"with {prompt!r}, the model gets {text!r}")


def lost_session(bench: Bench) -> str:
    """The conversation to resume or to fork does not exist: the attempt starts a new one, and has a note about it."""
    gone = SessionRef(bench.subject.no_session, bench.subject.cli, SLOT, cost_usd=0.0)
    with bench.serving(script(*WORK)):
        results = [bench.attempt(attempt=2, session=gone, fork=fork) for fork in (False, True)]
    for result in results:
        expect_passed(result)
        expect_that(any("lost the conversation" in note for note in result.notes), f"no note about it: {result.notes}")
        expect_usage(bench, result.usage, answers=3)
    return ""


SCENARIOS: Final = (
    Scenario("resume", "an earlier conversation is resumed; only the new tokens are counted", resume),
    Scenario("fork", "attempts fork a conversation; the original does not change", fork),
    Scenario("lost-session", "if the conversation to resume is lost, a new one is started, with a note", lost_session),
)
