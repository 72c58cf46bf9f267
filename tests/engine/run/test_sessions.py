"""Choice of the conversation that an attempt continues or copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.agents.usage import Tokens
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.engine.run.sessions import FRESH, Beginning, choose_session
from pytest_gump.engine.schedule.records import Ready
from pytest_gump.order import AttemptResult, Outcome, Timings, to_wire
from pytest_gump.workflow.model import SessionMode, Step
from pytest_gump.workflow.path import StepPath

LOOK = SessionRef("s-look", "claude", "one", 0.1, Tokens(input=100))
OTHER = SessionRef("s-other", "codex", "one")
MINE = SessionRef("s-mine", "claude", "two")
FORK = SessionMode(mode="fork", step="look")
REUSE = SessionMode(mode="reuse", step="look")


def record(*attempts: tuple[str, SessionRef | None]) -> RunRecord:
    run = RunRecord()
    for number, (path, session) in enumerate(attempts, 1):
        attempt = AttemptRecord(number, path, number, "diff", "claude", "first", 0.0)
        timings = Timings(started=0.0, total_s=1.0)
        message = f"This is what {path} has found."
        result = AttemptResult(path, number, Outcome.PASSED, "", "claude", timings, session=session, message=message)
        attempt.finish(to_wire(result))
        run.attempts.append(attempt)
    return run


def choose(run: RunRecord, mode: SessionMode, *, path: str = "impl", **changes: Any) -> Beginning:
    ready = Ready(StepPath.parse(path), Step(name="impl", session=mode), 1, "claude-opus", "diff", "0", "0")
    return choose_session(
        replace(ready, **changes),
        run,
        foreach=("build",),
        call_of=lambda names: ("call",) if names[0] == "call" else (),
        cli_of=lambda name: name.partition("-")[0],
        target=mode.step,
    )


def test_fork_copies_the_newest_conversation_of_the_step() -> None:
    older = replace(LOOK, id="s-older")
    run = record(("look", older), ("look", LOOK), ("between", replace(LOOK, id="s-between")))
    assert choose(run, FORK) == Beginning(LOOK, fork=True)
    assert choose(run, REUSE) == Beginning(LOOK)


@pytest.mark.parametrize(("path", "found"), [("impl", "s-outside"), ("call::impl", "s-inside")])
def test_reuse_does_not_cross_a_call(path: str, found: str) -> None:
    run = record(
        ("call::look", replace(LOOK, id="s-inside")), ("look", replace(LOOK, id="s-outside")), ("call::look", None)
    )
    session = choose(run, SessionMode(mode="reuse"), path=path).session
    assert session is not None
    assert session.id == found


def test_totals_of_a_conversation_are_from_its_last_attempt() -> None:
    later = replace(LOOK, cost_usd=0.3, tokens=Tokens(input=300))
    run = record(("look", LOOK), ("more", later))
    assert choose(run, FORK) == Beginning(later, fork=True)
    assert choose(run, REUSE) == Beginning(later)


@pytest.mark.parametrize("verdict", ["waited", "failover"])
def test_conversation_of_an_attempt_at_a_usage_limit_is_not_continued(verdict: str) -> None:
    own = replace(LOOK, id="s-own")
    run = record(("look", LOOK), ("impl", own))
    run.attempts[-1].verdict = verdict
    assert choose(run, SessionMode(mode="reuse"), path="impl") == Beginning(LOOK)
    run = record(("look", LOOK), ("impl", replace(LOOK, cost_usd=0.7)))
    run.attempts[-1].verdict = verdict
    assert choose(run, REUSE) == Beginning(replace(LOOK, cost_usd=0.7)), "its cost counts"


def test_retry_continues_its_own_copy() -> None:
    run = record(("look", LOOK), ("impl", MINE))
    assert choose(run, FORK, session="resume", attempt=2) == Beginning(MINE)


def test_retry_copies_again_if_the_first_attempt_has_no_conversation() -> None:
    run = record(("look", LOOK), ("impl", None))
    assert choose(run, FORK, session="resume", attempt=2) == Beginning(LOOK, fork=True)


def test_restart_copies_again() -> None:
    run = record(("look", LOOK), ("impl", MINE))
    assert choose(run, FORK, entry="restart", attempt=2) == Beginning(LOOK, fork=True)


@pytest.mark.parametrize("changes", [{"session": "fresh"}, {"agent": None}])
def test_fresh_attempt_copies_nothing(changes: dict[str, Any]) -> None:
    assert choose(record(("look", LOOK)), FORK, **changes) == FRESH


@pytest.mark.parametrize("mode", [FORK, REUSE])
def test_agent_of_another_cli_gets_the_last_message_of_the_conversation(mode: SessionMode) -> None:
    run = record(("look", LOOK), ("look", OTHER))
    assert choose(run, mode, agent="gemini-pro") == Beginning(missed="This is what look has found.")
    assert choose(record(), mode, agent="gemini-pro") == FRESH


def test_totals_of_a_conversation_include_superseded_attempts() -> None:
    later = replace(LOOK, cost_usd=0.3)
    run = record(("look", LOOK), ("more", later))
    run.attempts[1].superseded = True
    assert choose(run, FORK) == Beginning(later, fork=True)


def test_fork_within_a_plan_item_copies_the_conversation_of_that_item() -> None:
    run = record(("build::look[one]", LOOK), ("build::look[two]", MINE))
    mode = SessionMode(mode="fork", step="build::look")
    assert choose(run, mode, path="build::impl[one]") == Beginning(LOOK, fork=True)
    assert choose(run, mode, path="build::impl[three]") == FRESH
