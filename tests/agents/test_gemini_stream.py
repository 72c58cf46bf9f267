from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import (
    Note,
    Started,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    UsageSeen,
)
from pytest_gump.agents.gemini_stream import GeminiReader

from tests.agents.stream_kit import JSON, PATHS, TASK, Recorded, feed, line

GEMINI = Recorded("gemini", lambda task: GeminiReader(task, "gemini-2.5-pro"))
THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=153, reasoning=21)
TWO_ANSWERS = Tokens(input=2500, cache_read=1010, output=101, reasoning=14)


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "status": "success", "stats": {"input_tokens": 1}, **changes})


def said(words: str) -> bytes:
    return line(type="message", role="assistant", content=words, delta=True)


# -- events --------------------------------------------------------------------------------------------------------


def test_events_of_a_plain_run_come_in_order() -> None:
    events, ending = GEMINI.play("basic")
    assert [event for event in events if not isinstance(event, UsageSeen)] == [
        Started("32269515-523c-4ca3-a30c-d806e20f32ab", "gemini-2.5-pro"),
        Turn(1),
        Text("I will write the file."),
        ToolCall("write_file", path="/sandbox/repo/gemini/basic/hello.py"),
        ToolResult(),
        Turn(2),
        Text("Now run it."),
        ToolCall("run_shell_command", command="python3 hello.py > out.txt; cat out.txt"),
        ToolResult(),
        Turn(3),
        Text("All done: hello.py written and run."),
    ]
    assert ending.message == "All done: hello.py written and run."


@pytest.mark.parametrize(
    ("scenario", "turns", "tool_calls"),
    [
        ("basic", 3, 2),
        ("x-parallel-calls", 2, 2),
        ("x-maxturns-parallel", 3, 6),
        ("turn-limit", 2, 2),
        ("x-think", 1, 0),
        ("stream-cut", 0, 0),
    ],
)
def test_turns_are_answers_of_the_model(scenario: str, turns: int, tool_calls: int) -> None:
    events, ending = GEMINI.play(scenario)
    assert (ending.usage.turns, ending.usage.tool_calls) == (turns, tool_calls)
    assert [event.number for event in events if isinstance(event, Turn)] == list(range(1, turns + 1))


def test_the_pieces_of_the_last_answer_are_its_message() -> None:
    lines = [said("not "), line(type="tool_use", tool_id="a"), line(type="tool_result", tool_id="a", status="success")]
    ending = GEMINI.end([*lines, said("All "), said("done."), result_line()])
    assert ending.message == "All done."
    assert ending.usage.turns == 2


def test_a_refused_tool_is_an_error_of_the_tool_and_a_note_of_the_run() -> None:
    events, ending = GEMINI.play("readonly")
    assert events.count(ToolResult(is_error=True)) == 2
    assert ending.outcome == "ok"
    assert ending.notes[0].startswith("tool refused or failed: Access denied: plan path")


def test_api_retries_are_notes() -> None:
    _, ending = GEMINI.play("api-429-once")
    assert ending.outcome == "ok"
    assert ending.notes == ("1 API retry",)


def test_a_warning_is_a_note_and_an_error_event_is_told_where_there_is_no_result() -> None:
    lines = [line(type="error", severity=severity, message=f"a {severity}") for severity in ("warning", "error")]
    assert feed(GeminiReader(TASK), lines) == [Note("a warning"), Note("a error")]
    assert GEMINI.end(lines, exit_code=1).reason == "ended without a result, exit code 1: a error"


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_tokens_do_not_overlap_and_cost_is_estimated() -> None:
    _, ending = GEMINI.play("basic")
    assert ending.usage.tokens == THREE_ANSWERS
    # 3900 * $1.25 + 1530 * $0.125 + (153 + 21 thought) * $10, a million tokens
    assert ending.usage.cost_usd == pytest.approx(0.00680625)
    assert ending.usage.provenance == "estimated"


def test_a_resumed_run_reports_its_own_part_by_itself() -> None:
    _, first = GEMINI.play("resume-1")
    _, ending = GEMINI.play("resume", session=first.session)
    assert ending.usage.tokens == TWO_ANSWERS
    assert first.session is not None
    assert ending.session == first.session
    assert ending.session.slot == "/slot"


def test_every_model_of_a_run_has_its_own_price() -> None:
    """`auto`: 1700 tokens of flash-lite chose, 3510 of flash worked."""
    events, ending = GEMINI.play("x-auto-model")
    assert Started("becad635-2e9d-4524-831b-07799d6beb37", "auto") in events
    assert ending.usage.tokens == Tokens(input=3700, cache_read=1510, output=151, reasoning=21)
    lite = 1200 * 0.3e-6 + 500 * 0.03e-6 + 57 * 2.5e-6
    flash = 2500 * 0.75e-6 + 1010 * 0.075e-6 + 115 * 3.75e-6
    assert ending.usage.cost_usd == pytest.approx(lite + flash)


def test_a_model_without_a_price_has_no_cost() -> None:
    stats = {"total_tokens": 9, "input_tokens": 5, "output_tokens": 4, "models": {"new": {"input_tokens": 5}}}
    ending = GEMINI.end([said("x"), result_line(stats=stats)])
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")
    assert ending.model == "new"


def test_a_killed_run_is_estimated_from_what_was_seen() -> None:
    _, ending = GEMINI.play("sigterm-group", stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd is not None
    assert ending.usage.cost_usd > 0


def test_live_usage_only_grows_until_the_cli_tells_its_own() -> None:
    events, _ = GEMINI.play("basic")
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    costs = [usage.cost_usd or 0.0 for usage in live[:-1]]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert live[-1].tokens == THREE_ANSWERS


# -- the end -------------------------------------------------------------------------------------------------------

API_ERROR = '[API Error: {"error":{"code":400,"message":"scripted failure 400","status":"INVALID_ARGUMENT"}}]'


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason"),
    [
        ("basic", "ok", ""),
        ("api-429-once", "ok", ""),
        ("api-400", "agent_error", API_ERROR),
        ("api-429", "quota", "[API Error: scripted failure 429]"),
        ("stream-cut", "agent_error", "[API Error: terminated]"),
        (
            "no-key",
            "agent_error",
            (
                "ended without a result, exit code 41: When using Gemini API, you must specify the GEMINI_API_KEY"
                " environment variable."
            ),
        ),
        (
            "resume-unknown",
            "agent_error",
            (
                "ended without a result, exit code 42: Error resuming session: No previous sessions found for this"
                " project."
            ),
        ),
    ],
)
def test_the_end_is_told_truthfully(scenario: str, outcome: str, reason: str) -> None:
    _, ending = GEMINI.play(scenario)
    assert (ending.outcome, ending.reason, ending.limit) == (outcome, reason, None)


@pytest.mark.parametrize("scenario", ["api-401", "api-500", "connection-refused"])
def test_an_api_error_is_told_in_the_clis_words(scenario: str) -> None:
    _, ending = GEMINI.play(scenario)
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith("[API Error: ")


def test_the_turn_limit_of_the_users_settings_is_a_limit() -> None:
    _, ending = GEMINI.play("turn-limit")
    assert (ending.outcome, ending.limit) == ("agent_error", "max_turns")
    assert ending.reason.startswith("Reached max session turns for this session.")


def test_a_killed_run_is_no_success_although_it_exits_with_0() -> None:
    _, ending = GEMINI.play("sigterm-group")
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith("ended without a result, exit code 0")


def test_a_success_with_a_bad_exit_code_is_an_error() -> None:
    ending = GEMINI.end(GEMINI.lines("basic"), exit_code=144, stderr="boom\n")
    assert (ending.outcome, ending.reason) == ("agent_error", "exit code 144 after a result that says success: boom")


def test_a_status_that_is_not_success_is_an_error() -> None:
    assert GEMINI.end([result_line(status="aborted")]).reason == "the result is not a success: 'aborted'"
    assert GEMINI.end([result_line(status=None)]).outcome == "agent_error"


def test_an_agent_that_talks_about_quota_is_not_out_of_it() -> None:
    words = said("429 RESOURCE_EXHAUSTED: quota exceeded")
    assert GEMINI.end([words, result_line()]).outcome == "ok"
    failure = result_line(status="error", error={"type": "unknown", "message": "no"})
    assert GEMINI.end([words, failure], exit_code=1).outcome == "agent_error"


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"not json", b'{"type": "mess', b"\0\0", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_noted_once_and_the_rest_is_read(junk: bytes) -> None:
    reader = GeminiReader(TASK, "gemini-2.5-pro")
    events = feed(reader, [junk, junk, *GEMINI.lines("basic")])
    assert events[0] == Note("a line of the stream is not a JSON object")
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tokens == THREE_ANSWERS


def test_unknown_events_and_empty_lines_are_passed_over() -> None:
    lines = [b"", b" ", line(type="brand_new"), line(no="type"), line(type=5), line(type="message", role="user")]
    assert feed(GeminiReader(TASK), lines) == []


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_feed_never_raises_on_any_bytes(lines: list[bytes]) -> None:
    assert GEMINI.end(lines).outcome == "agent_error"


@given(scenario=st.sampled_from(GEMINI.scenarios), which=st.integers(0, 50), path=PATHS, replacement=JSON)
def test_no_change_of_a_recorded_line_breaks_the_reader(
    scenario: str, which: int, path: list[int], replacement: Any
) -> None:
    ending = GEMINI.end(GEMINI.mutated(scenario, which, path, replacement))
    assert ending.outcome in {"ok", "agent_error", "quota"}
    assert json.dumps(ending.usage.cost_usd)
    ending.reason.encode()
