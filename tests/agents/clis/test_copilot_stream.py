from __future__ import annotations

import json
from typing import Any

import pytest
from pytest_gump.agents.base import Text, ToolCall, Turn, UsageSeen
from pytest_gump.agents.streams.conversation_reader import ESTIMATED

from tests.agents.recordings.copilot import COPILOT
from tests.agents.stream_kit import TASK, feed

SPAN = next(text for text in COPILOT.lines("basic") if b'"gen_ai.usage.input_tokens"' in text)


def event(kind: str, **data: Any) -> bytes:
    return json.dumps({"type": kind, "data": data}, separators=(",", ":")).encode()


def is_span(text: bytes) -> bool:
    return text.startswith(b'{"type":"span"')


@pytest.mark.parametrize("at", [1, 10, 40, 100])
def test_a_span_in_the_middle_of_a_line_loses_neither(at: int) -> None:
    lines = COPILOT.lines("basic")
    spans = [text for text in lines if is_span(text)]
    whole = [text for text in lines if not is_span(text)]
    torn: list[bytes] = []
    for text in whole:
        if spans and text.startswith(b'{"type":"assistant.message"'):
            torn += [text[:at] + spans.pop(0), text[at : at + 50] + spans.pop(0), text[at + 50 :]]
        else:
            torn.append(text)
    ending = COPILOT.end([*torn, *spans])
    assert ending.usage == COPILOT.play("basic")[1].usage
    assert (ending.message, ending.notes) == (COPILOT.message, ())


def test_text_of_the_model_that_looks_like_a_span_stays_text() -> None:
    said = SPAN.decode()
    events = feed(COPILOT.reader(TASK), [event("assistant.turn_start"), event("assistant.message", content=said)])
    assert events == [Turn(1), Text(said)]


def test_without_spans_the_usage_is_estimated_while_the_cli_runs_and_at_the_end() -> None:
    lines = [text for text in COPILOT.lines("basic") if not is_span(text)]
    reader = COPILOT.reader(TASK)
    live = [seen.usage for seen in feed(reader, lines) if isinstance(seen, UsageSeen)]
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    assert [usage.tokens.total > 10_000 for usage in live] == [True, True, True]
    assert ending.usage.tokens.total > 10_000
    assert ending.notes == (ESTIMATED,)
    assert ending.session is not None


def test_the_usage_of_a_stopped_run_without_the_last_span_is_not_too_low() -> None:
    reader = COPILOT.reader(TASK)
    feed(reader, [event("session.skills_loaded"), event("assistant.turn_start"), event("assistant.message_start")])
    ending = reader.finish(exit_code=None, stderr="", stopped=True)
    assert ending.usage.tokens.total == 10_000


def test_tokens_written_to_the_cache_and_reasoning_are_counted_once() -> None:
    record = json.loads(SPAN)
    record["attributes"] |= {
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_write.input_tokens": 300,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.reasoning.output_tokens": 20,
    }
    tokens = COPILOT.end([json.dumps(record, separators=(",", ":")).encode()]).usage.tokens
    assert (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output, tokens.reasoning) == (
        *(100, 600, 300, 30, 20),
    )


def test_every_file_of_a_patch_is_a_call_that_writes() -> None:
    patch = "*** Begin Patch\n*** Add File: a.py\n+x\n*** Update File: b c.py\n*** Move to: d.py\n*** End Patch"
    reader = COPILOT.reader(TASK)
    events = feed(reader, [event("tool.execution_start", toolCallId="1", toolName="apply_patch", arguments=patch)])
    assert events == [ToolCall("apply_patch", path=path) for path in ("a.py", "b c.py", "d.py")]
    assert reader.finish(exit_code=None, stderr="", stopped=True).usage.tool_calls == 1


def test_a_repeated_request_is_one_answer_and_a_subagent_none() -> None:
    turn, start = event("assistant.turn_start"), event("assistant.message_start")
    subagent = b'{"type":"assistant.turn_start","agentId":"a1","data":{}}'
    reader = COPILOT.reader(TASK)
    events = feed(reader, [turn, start, start, event("assistant.message"), subagent, start, turn, start])
    assert [seen for seen in events if isinstance(seen, Turn)] == [Turn(1), Turn(2)]


def test_after_term_it_is_an_error_although_exit_code_and_result_say_0() -> None:
    assert COPILOT.exit_code("sigterm") == 0
    assert b'"exitCode":0' in COPILOT.lines("sigterm")[-1]
    assert COPILOT.play("sigterm")[1].outcome == "agent_error"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ({"errorType": "quota", "message": "You have no credits left."}, "quota"),
        ({"errorType": "rate_limit", "message": "Slow down."}, "quota"),
        ({"errorType": "query", "statusCode": 503, "message": "503 busy"}, "quota"),
        ({"errorType": "query", "message": "The model is overloaded."}, "quota"),
        ({"errorType": "query", "statusCode": 400, "message": "400 refused"}, "agent_error"),
        ({}, "agent_error"),
    ],
)
def test_a_limit_is_known_by_its_type_its_status_or_its_words(error: dict[str, Any], outcome: str) -> None:
    ending = COPILOT.end([event("session.error", **error), b'{"type":"result","sessionId":"s","exitCode":1}'])
    assert ending.outcome == outcome
    assert ending.reason == error.get("message", "the result has exit code 1")
