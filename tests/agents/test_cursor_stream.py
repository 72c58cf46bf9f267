"""The stream here was written by hand, from the documentation of 2026-11-22: nothing of it was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import (
    Ending,
    Event,
    Note,
    Started,
    Task,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    UsageSeen,
)
from pytest_gump.agents.cursor_stream import CursorReader

if TYPE_CHECKING:
    from collections.abc import Iterable

BASIC = (Path(__file__).parent / "streams" / "cursor" / "basic" / "stream.ndjson").read_bytes().splitlines()
TASK = Task(step="impl", item=None, attempt=1, agent="cursor", prompt="", worktree=Path("/slot"), mode="diff")


def feed(reader: CursorReader, lines: Iterable[bytes]) -> list[Event]:
    return [event for line in lines for event in reader.feed(line)]


def end(lines: Iterable[bytes], *, exit_code: int | None = 0, stderr: str = "", stopped: bool = False) -> Ending:
    reader = CursorReader(TASK)
    feed(reader, lines)
    return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def line(**record: Any) -> bytes:
    return json.dumps(record).encode()


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


def test_events_of_a_plain_run_come_in_order() -> None:
    events = feed(CursorReader(TASK), BASIC)
    assert [event for event in events if not isinstance(event, UsageSeen)] == [
        Started("c6b62c6f-7ead-4fd6-9922-e952131177ff", "Claude 4.6 Sonnet"),
        Turn(1),
        Text("I will write the file."),
        ToolCall("write", path="/slot/hello.py"),
        ToolResult(),
        Turn(2),
        ToolCall("shell", command="python3 hello.py"),
        ToolResult(is_error=True),
        Turn(3),
        ToolCall("read"),
        ToolResult(),
        Turn(4),
        ToolCall("edit", path="/slot/hello.py"),
        ToolResult(),
        Turn(5),
        Text("All done."),
    ]


def test_a_model_call_id_tells_the_turns_apart() -> None:
    events = feed(CursorReader(TASK), [line(type="assistant", model_call_id=name, message={}) for name in "aabbb"])
    assert events == [Turn(1), Turn(2)]


def test_the_end_of_a_plain_run() -> None:
    ending = end(BASIC)
    assert (ending.outcome, ending.reason) == ("ok", "")
    assert ending.message == "I will write the file.All done."
    assert (ending.usage.turns, ending.usage.tool_calls) == (5, 4)
    assert ending.session is not None
    assert (ending.session.id, ending.session.slot) == ("c6b62c6f-7ead-4fd6-9922-e952131177ff", "/slot")


def test_its_cost_is_unknown_and_never_zero() -> None:
    ending = end(BASIC)
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_a_usage_in_the_result_is_read_if_there_is_one() -> None:
    usage = {"inputTokens": 10, "outputTokens": 4, "cacheReadTokens": 3, "cacheWriteTokens": 2}
    assert end([result_line(usage=usage)]).usage.tokens == Tokens(input=10, cache_read=3, cache_write=2, output=4)


def test_a_rejected_tool_is_a_note() -> None:
    call = {"shellToolCall": {"args": {"command": "rm x"}, "result": {"rejected": {"reason": "no"}}}}
    reader = CursorReader(TASK)
    assert feed(reader, [line(type="tool_call", subtype="completed", tool_call=call)]) == [ToolResult(is_error=True)]
    assert reader.finish(exit_code=0, stderr="", stopped=False).notes == ("permission denied: shell",)


def test_a_missing_result_is_an_error_with_the_words_of_stderr_or_stdout() -> None:
    mirrored = '{"type":"system"}\n'
    assert end(BASIC[:-1]).reason == "ended without a result, exit code 0"
    told = end([], exit_code=1, stderr=f"Error: not logged in\n{mirrored}")
    assert (told.outcome, told.reason) == ("agent_error", "ended without a result, exit code 1: Error: not logged in")
    assert told.session is None
    plain = end([b"T: Named models unavailable"], exit_code=1)
    assert plain.reason == "ended without a result, exit code 1: T: Named models unavailable"


@pytest.mark.parametrize(
    ("changes", "exit_code", "outcome", "reason"),
    [
        ({"is_error": True, "result": "it broke"}, 1, "agent_error", "it broke"),
        ({"is_error": True, "result": ""}, 1, "agent_error", "the result is an error: success"),
        ({"subtype": "error"}, 0, "agent_error", "done"),
        ({"is_error": None}, 0, "agent_error", "done"),
        ({"is_error": True, "result": "You've hit your usage limit"}, 1, "quota", "You've hit your usage limit"),
        ({}, 1, "agent_error", "exit code 1 after a result that says success"),
    ],
)
def test_the_end_is_told_truthfully(changes: dict[str, Any], exit_code: int, outcome: str, reason: str) -> None:
    ending = end([result_line(**changes)], exit_code=exit_code)
    assert (ending.outcome, ending.reason) == (outcome, reason)


def test_a_run_that_we_stopped_is_not_judged_further() -> None:
    assert end(BASIC, stopped=True).reason == "stopped before it had finished"


def test_a_line_that_is_no_object_is_noted_once() -> None:
    events = feed(CursorReader(TASK), [b"junk", b"junk", b"", b"{}"])
    assert events == [Note("a line of the stream is not a JSON object")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["tool_call", "function", "args", "result", "message", "content", "usage", "arguments", "name"])


@given(
    kind=st.sampled_from(["system", "assistant", "tool_call", "result"]),
    subtype=st.sampled_from(["init", "started", "completed", "error"]),
    record=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6),
)
def test_no_shape_of_an_event_raises(kind: str, subtype: str, record: dict[str, Any]) -> None:
    reader = CursorReader(TASK)
    list(reader.feed(json.dumps({**record, "type": kind, "subtype": subtype}).encode()))
    assert reader.finish(exit_code=0, stderr="", stopped=False).outcome != "ok"


@given(junk=st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise(junk: list[bytes]) -> None:
    reader = CursorReader(TASK)
    feed(reader, junk)
    assert reader.finish(exit_code=0, stderr="", stopped=False).outcome == "agent_error"
