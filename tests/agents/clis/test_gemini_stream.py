from __future__ import annotations

import time
from typing import Any

import pytest
from pytest_gump.agents.base import Note, Started, ToolResult
from pytest_gump.agents.clis.gemini_stream import GeminiReader
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.gemini import GEMINI
from tests.agents.stream_kit import TASK, feed, line


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "status": "success", "stats": {"input_tokens": 1}, **changes})


def said(words: str) -> bytes:
    return line(type="message", role="assistant", content=words, delta=True)


# -- events --------------------------------------------------------------------------------------------------------


def test_the_message_joins_the_chunks_of_the_last_answer() -> None:
    lines = [said("not "), line(type="tool_use", tool_id="a"), line(type="tool_result", tool_id="a", status="success")]
    ending = GEMINI.end([*lines, said("All "), said("done."), result_line()])
    assert ending.message == "All done."
    assert ending.usage.turns == 2


def test_answers_are_counted_after_a_tool_without_a_result() -> None:
    lines = [line(type="tool_use", tool_id="lost")]
    for tool in "ab":
        use, tool_result = line(type="tool_use", tool_id=tool), line(type="tool_result", tool_id=tool, status="success")
        lines += [use, tool_result, said("Next.")]
    assert GEMINI.end([*lines, result_line()]).usage.turns == 3


def test_a_refused_tool_is_a_tool_error_and_a_note() -> None:
    events, ending = GEMINI.play("readonly")
    assert events.count(ToolResult(is_error=True)) == 2
    assert ending.outcome == "ok"
    (note,) = ending.notes
    assert note.startswith(
        "2 tool calls refused (gump_allow_commands can allow more): write_file '/sandbox/repo/gemini/readonly/hello.py', "
    )


def test_a_command_that_would_need_a_question_is_refused() -> None:
    use = line(type="tool_use", tool_id="a", tool_name="run_shell_command", parameters={"command": "make > f"})
    why = 'Tool execution for "Shell" requires user confirmation, which is not supported in non-interactive mode.'
    refused = line(type="tool_result", tool_id="a", status="error", error={"type": "invalid", "message": why})
    (note, *_) = [note for note in GEMINI.end([use, refused, result_line()]).notes if "refused" in note]
    assert note.startswith("1 tool call refused")
    assert note.endswith(": run_shell_command 'make > f'")


def test_a_run_stopped_while_it_waits_for_its_first_answer_is_out_of_quota() -> None:
    retry = "Attempt {} failed with status {}. Retrying with backoff... _ApiError: {{}}\n    at x\n"
    limited = retry.format(1, 500) + retry.format(2, 429)
    ending = GEMINI.end([], stderr=limited, stopped=True)
    assert (ending.outcome, ending.reason) == ("quota", "waited for a usage limit: 429 after 2 requests")
    assert GEMINI.end([], stderr=limited + retry.format(3, 500), stopped=True).outcome == "agent_error"
    assert GEMINI.end([said("Hi.")], stderr=limited, stopped=True).outcome == "agent_error"


def test_a_tool_that_failed_for_another_reason_is_not_refused() -> None:
    failed = line(
        type="tool_result", tool_id="a", status="error", error={"type": "x", "message": "0 occurrences found"}
    )
    assert GEMINI.end([failed, result_line()]).notes == ("tool failed: 0 occurrences found",)


def test_a_warning_is_a_note_and_an_error_event_is_the_reason_without_result() -> None:
    lines = [line(type="error", severity=severity, message=f"a {severity}") for severity in ("warning", "error")]
    assert feed(GeminiReader(TASK), lines) == [Note("a warning"), Note("a error")]
    assert GEMINI.end(lines, exit_code=1).reason == "exit code 1 without a result: a error"


def test_a_run_stopped_by_loop_detection_is_not_a_success() -> None:
    warning = line(type="error", severity="warning", message="Loop detected, stopping execution")
    ending = GEMINI.end([said("Again."), warning, result_line()])
    assert (ending.outcome, ending.reason) == ("agent_error", "Loop detected, stopping execution")


EMPTY = "Invalid stream: the model returned an empty response"


@pytest.mark.parametrize("severity", ["warning", "error"])
def test_a_run_without_an_answer_fails_with_the_cause(severity: str) -> None:
    lines = [line(type="error", severity=severity, message=EMPTY), result_line()]
    ending = GEMINI.end(lines)
    assert (ending.outcome, ending.reason) == ("agent_error", EMPTY)
    assert GEMINI.end([lines[0], said("Done."), lines[1]]).outcome == "ok"


def test_the_reason_of_a_failed_result_is_the_earlier_cause() -> None:
    error = {"status": "error", "error": {"message": "[API Error: unknown]"}}
    ending = GEMINI.end([line(type="error", severity="warning", message=EMPTY), result_line(**error)], exit_code=1)
    assert ending.reason == f"[API Error: unknown]: {EMPTY}"
    plain = GEMINI.end([line(type="error", severity="error", message=EMPTY), result_line(status="error")], exit_code=1)
    assert plain.reason == f"the result is not a success: 'error': {EMPTY}"


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_each_model_of_a_run_has_its_own_price() -> None:
    """With `auto`, flash-lite chose the model with 1700 tokens, and flash did the work with 3510."""
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


def test_the_cost_of_a_killed_run_is_estimated_from_its_stream() -> None:
    _, ending = GEMINI.play("sigterm-group", stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd is not None
    assert ending.usage.cost_usd > 0


# -- the ending ----------------------------------------------------------------------------------------------------

API_ERROR = '[API Error: {"error":{"code":400,"message":"scripted failure 400","status":"INVALID_ARGUMENT"}}]'


def test_a_status_that_is_not_success_is_an_error() -> None:
    assert GEMINI.end([result_line(status="aborted")]).reason == "the result is not a success: 'aborted'"
    assert GEMINI.end([result_line(status=None)]).outcome == "agent_error"


def test_the_cause_of_an_empty_stream_is_the_reason() -> None:
    trouble = line(type="error", severity="warning", message="The model returned an empty response")
    ending = GEMINI.end([trouble, result_line()])
    assert (ending.outcome, ending.reason) == ("agent_error", "The model returned an empty response")


def test_an_agent_that_mentions_quota_is_not_out_of_quota() -> None:
    words = said("429 RESOURCE_EXHAUSTED: quota exceeded")
    assert GEMINI.end([words, result_line()]).outcome == "ok"
    failure = result_line(status="error", error={"type": "unknown", "message": "no"})
    assert GEMINI.end([words, failure], exit_code=1).outcome == "agent_error"


def test_a_limit_in_the_output_of_a_tool_is_not_quota() -> None:
    error = {"type": "x", "message": "429 RESOURCE_EXHAUSTED"}
    printed = line(type="tool_result", tool_id="t", status="error", output="quota exceeded, retry in 5s", error=error)
    failure = result_line(status="error", error={"type": "unknown", "message": "no"})
    ending = GEMINI.end([printed, failure], exit_code=1)
    assert (ending.outcome, ending.resets_at) == ("agent_error", None)


def test_the_reset_time_is_read_from_a_recorded_limit() -> None:
    _, ending = GEMINI.play("usage-limit")
    assert ending.resets_at == pytest.approx(time.time() + 7200, abs=60)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("You have exhausted your capacity on this model. Your quota will reset after 1h49m8s.", 6548),
        ("[API Error: You exceeded your current quota\nPlease retry in 43.6s.]", 43.6),
        ("[API Error: The model is overloaded. Please try again later.]", None),
        ("[API Error: This model is currently experiencing high demand. Please try again later.]", None),
    ],
)
def test_the_reset_time_is_read_from_the_text(words: str, seconds: float | None) -> None:
    ending = GEMINI.end([result_line(status="error", error={"type": "unknown", "message": words})], exit_code=173)
    assert ending.outcome == "quota"
    assert ending.resets_at == (None if seconds is None else pytest.approx(time.time() + seconds, abs=60))


# -- broken streams ------------------------------------------------------------------------------------------------
