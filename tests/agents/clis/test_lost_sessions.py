"""How each CLI reports that the session to resume is missing."""

from __future__ import annotations

import pytest
from pytest_gump.agents.base import SessionRef

from tests.agents.recordings import RECORDED
from tests.agents.stream_kit import Recorded, line

each_cli = pytest.mark.parametrize("recorded", RECORDED, ids=[recorded.cli for recorded in RECORDED])


def session(recorded: Recorded) -> SessionRef:
    return SessionRef("11111111-2222-4333-8444-555555555555", recorded.cli, "/slot")


@each_cli
def test_a_session_unknown_to_the_cli_is_lost(recorded: Recorded) -> None:
    _, ending = recorded.play("resume-unknown", session=session(recorded))
    assert ending.lost_session
    assert ending.outcome == "agent_error"
    assert ending.session is None


@each_cli
def test_a_run_that_resumed_no_session_has_no_lost_session(recorded: Recorded) -> None:
    _, ending = recorded.play("resume-unknown")
    assert not ending.lost_session


@each_cli
def test_a_stopped_run_has_no_lost_session(recorded: Recorded) -> None:
    _, ending = recorded.play("resume-unknown", session=session(recorded), stopped=True)
    assert not ending.lost_session


@each_cli
@pytest.mark.parametrize("scenario", ["resume", "api-401", "stream-cut"])
def test_a_session_that_was_found_is_not_lost(recorded: Recorded, scenario: str) -> None:
    _, ending = recorded.play(scenario, session=session(recorded))
    assert not ending.lost_session


WORDS = {
    "claude": "No conversation found with session ID: 1",
    "codex": "thread/resume failed: no rollout found for thread id 1",
    "copilot": "Error: No session, task, or name matched '1'.",
    "gemini": "Error resuming session: gone",
    "opencode": "Error: Session not found",
    "qwen": "No saved session found with ID 1.",
}


@each_cli
def test_text_of_a_started_run_does_not_mark_its_session_as_lost(recorded: Recorded) -> None:
    lines = [*recorded.lines("basic")[:1], line(type="error", message=WORDS[recorded.cli])]
    reader = recorded.reader_for(session(recorded))
    for text in lines:
        list(reader.feed(text))
    ending = reader.finish(exit_code=1, stderr=WORDS[recorded.cli], stopped=False)
    assert ending.outcome == "agent_error"
    assert not ending.lost_session
