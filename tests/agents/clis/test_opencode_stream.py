from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Started, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.clis.opencode_stream import OpencodeReader
from pytest_gump.agents.streams.refusals import SETTING

from tests.agents.recordings.opencode import OPENCODE
from tests.agents.stream_kit import JSON, TASK, feed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.agents.base import Ending


def end(
    lines: Iterable[bytes],
    *,
    exit_code: int | None = 0,
    stderr: str = "",
    stopped: bool = False,
    model: str | None = None,
) -> Ending:
    reader = OpencodeReader(TASK, model)
    feed(reader, lines)
    return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def line(kind: str, **record: Any) -> bytes:
    return json.dumps({"type": kind, "sessionID": "ses_1", **record}).encode()


def tool_line(tool: str, arguments: dict[str, Any], **state: Any) -> bytes:
    return line("tool_use", part={"tool": tool, "state": {"status": "completed", "input": arguments, **state}})


def step(reason: str = "stop", cost: float = 0.0, **tokens: Any) -> list[bytes]:
    return [
        line("step_start", part={"messageID": "msg_1"}),
        line("step_finish", part={"reason": reason, "cost": cost, "tokens": tokens}),
    ]


# -- events --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments", "calls"),
    [
        ("edit", {"filePath": "/slot/a.py"}, [ToolCall("edit", path="/slot/a.py")]),
        ("read", {"filePath": "/slot/a.py"}, [ToolCall("read")]),
        ("bash", {"command": "ls"}, [ToolCall("bash", command="ls")]),
        ("bash", {"command": ["ls"]}, [ToolCall("bash")]),
        (
            "apply_patch",
            {"patchText": "*** Begin Patch\n*** Add File: a.py\n+x\n*** Delete File: b.py\n*** End Patch"},
            [ToolCall("apply_patch", path="a.py"), ToolCall("apply_patch", path="b.py")],
        ),
        ("patch", {"patchText": "odd"}, [ToolCall("patch")]),
    ],
)
def test_tool_calls_name_the_path_or_the_command(tool: str, arguments: dict[str, Any], calls: list[ToolCall]) -> None:
    reader = OpencodeReader(TASK)
    events = feed(reader, [tool_line(tool, arguments)])
    assert events == [Started("ses_1", None), *calls, ToolResult()]
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tool_calls == 1


def test_a_refused_tool_is_a_note_without_a_path() -> None:
    events, ending = OPENCODE.play("outside-no-auto")
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert calls == [ToolCall("write")]
    assert ToolResult(is_error=True) in events
    assert ending.notes == ("1 tool call refused: write '/sandbox/home/opencode/outside2.txt'",)


def test_a_read_only_step_writes_only_its_output_file() -> None:
    events, ending = OPENCODE.play("read-only-step")
    paths = [event.path for event in events if isinstance(event, ToolCall)]
    assert (ending.outcome, paths) == ("ok", ["/sandbox/repo/.gump/out/plan.json", None, None])
    assert ending.notes == ("2 tool calls refused: write '/sandbox/repo/a.txt', bash: not an available tool",)


def test_a_writing_step_stays_in_the_worktree_and_runs_allowed_commands() -> None:
    events, ending = OPENCODE.play("diff-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, False, True])
    assert ending.notes == (f"2 tool calls refused ({SETTING}): write '/sandbox/home/out.txt', bash 'touch sh.txt'",)


def test_a_call_of_an_unavailable_tool_is_a_note() -> None:
    events, ending = OPENCODE.play("readonly")
    assert ToolCall("write") in events
    assert ToolCall("bash") in events
    assert ending.notes == ("2 tool calls refused: write: not an available tool, bash: not an available tool",)


# -- money and tokens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "cost_usd", "provenance"),
    [
        ("openai/gpt-5.4", (1000 * 2.5 + 400 * 0.25 + 100 * 15) / 1e6, "estimated"),
        ("scripted/free", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_reported_cost_of_zero_means_a_model_without_a_price(
    model: str | None, cost_usd: float | None, provenance: str
) -> None:
    ending = end(step(input=1000, output=60, reasoning=40, cache={"read": 400, "write": 0}), model=model)
    assert ending.usage.cost_usd == (None if cost_usd is None else pytest.approx(cost_usd))
    assert ending.usage.provenance == provenance


def test_one_step_of_unknown_cost_makes_the_total_unknown() -> None:
    ending = end([*step(cost=0.5, input=10), *step(input=10)])
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_a_killed_run_counts_its_finished_steps() -> None:
    lines = OPENCODE.lines("basic")
    ending = end(lines[:6], exit_code=-15, stopped=True)
    assert ending.usage.cost_usd == pytest.approx(0.0045)
    assert ending.usage.turns == 2
    assert ending.notes == ("the last answer was cut off: its tokens are not counted",)


def test_live_usage_is_reported_with_each_step() -> None:
    events, _ = OPENCODE.play("basic")
    costs = [event.usage.cost_usd for event in events if isinstance(event, UsageSeen)]
    assert costs == [pytest.approx(0.0045), pytest.approx(0.009318), pytest.approx(0.014454)]


# -- the ending ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["tool-calls", "length", "content-filter", "other"])
def test_only_a_last_answer_with_reason_stop_is_a_success(reason: str) -> None:
    assert end(step(reason)).outcome == "agent_error"
    assert end([*step(reason), *step("stop")]).outcome == "ok"


def test_an_error_event_overrides_a_successful_ending() -> None:
    ending = end([*OPENCODE.lines("basic"), line("error", error={"name": "APIError", "data": {"message": "no"}})])
    assert (ending.outcome, ending.reason) == ("agent_error", "APIError: no")


@pytest.mark.parametrize(
    "data",
    [
        {"statusCode": 429},
        {"statusCode": 402},
        {"statusCode": 503},
        {"statusCode": 529},
        {"message": "Overloaded"},
        {"message": "You exceeded your current quota"},
    ],
)
def test_an_exhausted_limit_is_quota_only_in_an_error_event(data: dict[str, Any]) -> None:
    assert end([line("error", error={"name": "APIError", "data": data})], exit_code=1).outcome == "quota"
    talk = line("text", part={"type": "text", "text": json.dumps(data)})
    failed = line("error", error={"name": "APIError", "data": {"message": "no"}})
    assert end([talk, failed], exit_code=1).outcome == "agent_error"


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({"responseHeaders": {"retry-after": "120"}}, 120),
        ({"responseBody": '{"error":{"message":"Please try again in 6m0s."}}'}, 360),
        ({"message": "quota exceeded, retry in 5s"}, 5),
        ({}, None),
    ],
)
def test_the_reset_time_is_read_from_the_error(more: dict[str, Any], seconds: float | None) -> None:
    ending = end([line("error", error={"name": "APIError", "data": {"statusCode": 429, **more}})], exit_code=1)
    assert ending.resets_at == (None if seconds is None else pytest.approx(time.time() + seconds, abs=60))


def test_a_limit_in_the_output_of_a_tool_is_not_quota() -> None:
    printed = tool_line("bash", {"command": "cat log"}, output="usage limit reached, retry in 5s")
    failed = line("error", error={"name": "APIError", "data": {"message": "no"}})
    ending = end([printed, failed], exit_code=1)
    assert (ending.outcome, ending.resets_at) == ("agent_error", None)


# -- broken streams ------------------------------------------------------------------------------------------------


KEYS = st.sampled_from(
    [
        "messageID",
        "tool",
        "state",
        "input",
        "metadata",
        "tokens",
        "cache",
        "cost",
        "reason",
        "data",
        "statusCode",
        "text",
    ]
)


@given(
    kind=st.sampled_from(["step_start", "text", "reasoning", "tool_use", "step_finish", "error"]),
    part=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6),
    error=JSON | st.dictionaries(KEYS, JSON, max_size=3),
)
def test_malformed_events_do_not_raise(kind: str, part: dict[str, Any], error: object) -> None:
    reader = OpencodeReader(TASK)
    list(reader.feed(json.dumps({"type": kind, "part": part, "error": error}).encode()))
    assert reader.finish(exit_code=1, stderr="", stopped=False).outcome != "ok"


LOGGED = (
    'timestamp=2026-11-29T20:46:52.602Z level=ERROR run=37ec3ef9 message="stream error" providerID=openai modelID=x '
    'small=false agent=build mode=primary error.error="AI_APICallError: {}"\n'
)


def test_a_run_stopped_while_it_waits_for_its_first_answer_is_out_of_quota() -> None:
    limited, broken = LOGGED.format("Rate limit reached for x"), LOGGED.format("socket hang up")
    ending = end([], stderr=broken + limited, stopped=True)
    assert (ending.outcome, ending.reason) == (
        "quota",
        "waited for a usage limit: AI_APICallError: Rate limit reached for x",
    )
    assert end([], stderr=limited + broken, stopped=True).outcome == "agent_error"
    assert end(step(), stderr=limited, stopped=True).outcome == "agent_error"


def test_the_log_is_not_the_reason_of_a_failure() -> None:
    ending = end([], exit_code=1, stderr="Error: no model\n" + LOGGED.format("socket hang up"))
    assert ending.reason.endswith("Error: no model")
