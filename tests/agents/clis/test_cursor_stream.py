"""The stream is not recorded. It was written by hand from the documentation of 2026-11-22."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import ToolResult, Turn
from pytest_gump.agents.clis.cursor_stream import CursorReader
from pytest_gump.agents.streams.refusals import SETTING
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.cursor import CURSOR
from tests.agents.stream_kit import JSON, TASK, feed, line


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


def test_a_turn_is_identified_by_its_model_call_id() -> None:
    events = feed(CursorReader(TASK), [line(type="assistant", model_call_id=name, message={}) for name in "aabbb"])
    assert events == [Turn(1), Turn(2)]


def test_the_cost_is_unknown_and_not_zero() -> None:
    ending = CURSOR.end(CURSOR.lines("basic"))
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_usage_in_the_result_is_read() -> None:
    usage = {"inputTokens": 10, "outputTokens": 4, "cacheReadTokens": 3, "cacheWriteTokens": 2}
    assert CURSOR.end([result_line(usage=usage)]).usage.tokens == Tokens(
        input=10, cache_read=3, cache_write=2, output=4
    )


def test_a_rejected_tool_is_a_note() -> None:
    call = {"shellToolCall": {"args": {"command": "rm x"}, "result": {"rejected": {"reason": "no"}}}}
    reader = CursorReader(TASK)
    assert feed(reader, [line(type="tool_call", subtype="completed", tool_call=call)]) == [ToolResult(is_error=True)]
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    assert ending.notes == (f"1 tool call refused ({SETTING}): shell",)


def test_a_missing_result_is_an_error_with_text_of_stderr_or_stdout() -> None:
    mirrored = '{"type":"system"}\n'
    assert CURSOR.end(CURSOR.lines("basic")[:-1]).reason == "exit code 0 without a result"
    ending = CURSOR.end([], exit_code=1, stderr=f"Error: not logged in\n{mirrored}")
    assert (ending.outcome, ending.reason) == ("agent_error", "exit code 1 without a result: Error: not logged in")
    assert ending.session is None
    plain = CURSOR.end([b"T: Named models unavailable"], exit_code=1)
    assert plain.reason == "exit code 1 without a result: T: Named models unavailable"


@pytest.mark.parametrize(
    ("changes", "exit_code", "outcome", "reason"),
    [
        ({"is_error": True, "result": "it broke"}, 1, "agent_error", "it broke"),
        ({"is_error": True, "result": ""}, 1, "agent_error", "the result is an error: success"),
        ({"subtype": "error"}, 0, "agent_error", "done"),
        ({"is_error": None}, 0, "agent_error", "done"),
        ({"is_error": True, "result": "You've hit your usage limit"}, 1, "quota", "You've hit your usage limit"),
        ({}, 1, "agent_error", "exit code 1 after a successful result"),
    ],
)
def test_the_outcome_follows_result_and_exit_code(
    changes: dict[str, Any], exit_code: int, outcome: str, reason: str
) -> None:
    ending = CURSOR.end([result_line(**changes)], exit_code=exit_code)
    assert (ending.outcome, ending.reason) == (outcome, reason)


KEYS = st.sampled_from(["tool_call", "function", "args", "result", "message", "content", "usage", "arguments", "name"])


@given(
    kind=st.sampled_from(["system", "assistant", "tool_call", "result"]),
    subtype=st.sampled_from(["init", "started", "completed", "error"]),
    record=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6),
)
def test_malformed_events_do_not_raise(kind: str, subtype: str, record: dict[str, Any]) -> None:
    reader = CursorReader(TASK)
    list(reader.feed(json.dumps({**record, "type": kind, "subtype": subtype}).encode()))
    assert reader.finish(exit_code=0, stderr="", stopped=False).outcome != "ok"
