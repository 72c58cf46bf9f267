from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_gump.agents.base import Note, SessionRef, ToolCall, ToolResult, Turn
from pytest_gump.agents.clis.codex_stream import CodexReader
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.codex import CODEX
from tests.agents.stream_kit import TASK, feed, line

THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=132, reasoning=21)


def item(kind: str, **content: Any) -> bytes:
    return line(type="item.completed", item={"id": "item_9", "type": kind, **content})


def completed(**usage: int) -> bytes:
    return line(type="turn.completed", usage=usage)


# -- events --------------------------------------------------------------------------------------------------------


def test_consecutive_tool_calls_of_one_answer_count_as_answers() -> None:
    """The stream looks the same as for separate answers: three answers are counted instead of two."""
    _, ending = CODEX.play("x-parallel-calls")
    assert ending.usage.turns == 3


def test_tools_that_run_in_parallel_belong_to_one_answer() -> None:
    started = [
        line(type="item.started", item={"id": name, "type": "command_execution", "command": "ls"}) for name in "ab"
    ]
    events = feed(CodexReader(TASK), started)
    assert [event for event in events if isinstance(event, Turn)] == [Turn(1)]
    assert sum(isinstance(event, ToolCall) for event in events) == 2


def test_answers_are_counted_after_a_tool_without_a_result() -> None:
    """The tool runs in the background, or the line of its output was too long to be read."""
    started = line(type="item.started", item={"id": "a", "type": "command_execution", "command": "yes"})
    events = feed(CodexReader(TASK), [started, *[item("agent_message", text="Still there.")] * 3])
    assert [event.number for event in events if isinstance(event, Turn)] == [1, 2, 3, 4]


def test_a_patch_of_several_files_is_one_tool_call_with_all_paths() -> None:
    changes = [{"path": "/slot/a.py", "kind": "add"}, {"path": "/slot/b.py", "kind": "delete"}]
    reader = CodexReader(TASK)
    events = feed(reader, [item("file_change", changes=changes, status="completed")])
    assert [event.path for event in events if isinstance(event, ToolCall)] == ["/slot/a.py", "/slot/b.py"]
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tool_calls == 1


@pytest.mark.parametrize(
    ("shown", "command"),
    [
        ("/bin/bash -lc 'ls -a'", "ls -a"),
        ("bash -lc ls", "ls"),
        ("/bin/zsh -c 'a b'", "a b"),
        ("python -c 'print()'", "python -c 'print()'"),
        ("bash 'open", "bash 'open"),
        ("", ""),
    ],
)
def test_commands_are_shown_without_the_shell_wrapper(shown: str, command: str) -> None:
    events = feed(CodexReader(TASK), [item("command_execution", command=shown, status="completed")])
    assert ToolCall("shell", command=command) in events


def test_other_tool_calls_have_a_name() -> None:
    events = feed(CodexReader(TASK), [item("mcp_tool_call", server="s", tool="lookup", status="failed")])
    assert ToolCall("lookup") in events
    assert ToolResult(is_error=True) in events


def test_retries_and_warnings_are_notes() -> None:
    events, ending = CODEX.play("api-401")
    assert sum(isinstance(event, Note) for event in events) == 5
    assert ending.notes == ("5 API retries",)
    _, warned = CODEX.play("x-unknown-model")
    assert warned.outcome == "ok"
    assert warned.notes[0].startswith("Model metadata for `nope` not found.")


# -- money and tokens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [None, "nope"])
def test_a_model_without_a_price_has_no_cost(model: str | None) -> None:
    reader = CodexReader(TASK, model)
    feed(reader, CODEX.lines("basic"))
    usage = reader.finish(exit_code=0, stderr="", stopped=False).usage
    assert usage.tokens == THREE_ANSWERS
    assert (usage.cost_usd, usage.provenance) == (None, "unknown")


def test_the_estimate_for_a_killed_run_is_kept_in_its_session() -> None:
    before = SessionRef("x", "codex", "/slot", tokens=THREE_ANSWERS)
    _, ending = CODEX.play("sigterm", session=before, stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd is not None
    assert ending.usage.cost_usd > 0
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + ending.usage.tokens


def test_a_long_conversation_is_not_priced_as_one_long_context() -> None:
    """Ten answers of 50,000 tokens each: the higher rate for a long context does not apply."""
    talk = [item("agent_message", text="x") for _ in range(10)]
    end = CODEX.end([*talk, completed(input_tokens=500_000, output_tokens=10_000)])
    assert end.usage.cost_usd == pytest.approx(500_000 * 5e-6 + 10_000 * 30e-6)


# -- the ending ----------------------------------------------------------------------------------------------------


def test_a_failed_turn_overrides_the_exit_code() -> None:
    assert CODEX.end([line(type="turn.failed", error={"message": "it broke"})]).reason == "it broke"
    assert CODEX.end([line(type="turn.failed")]).reason == "the turn failed without a reason"


@pytest.mark.parametrize(
    "words",
    [
        "You've hit your usage limit. Upgrade to Pro or try again in 3 days.",
        "Quota exceeded. Check your plan and billing details.",
        "rate limit reached for gpt-5.5",
        "Selected model is at capacity. Please try a different model.",
        "unexpected status 503 Service Unavailable: no healthy upstream, url: http://127.0.0.1:5503/v1/responses",
        "exceeded retry limit, last status: 529 unknown",
    ],
)
def test_an_exhausted_limit_is_quota_only_in_a_failure_of_the_cli(words: str) -> None:
    assert CODEX.end([line(type="turn.failed", error={"message": words})], exit_code=1).outcome == "quota"
    said = item("agent_message", text=words)
    assert CODEX.end([said, line(type="turn.failed", error={"message": "no"})], exit_code=1).outcome == "agent_error"
    assert CODEX.end([said, completed(input_tokens=1)]).outcome == "ok"


def test_a_limit_in_the_output_of_a_command_is_not_quota() -> None:
    words = "You've hit your usage limit. Try again in 3 days."
    ran = item("command_execution", command="cat log", aggregated_output=words, status="failed", exit_code=1)
    ending = CODEX.end([ran, line(type="turn.failed", error={"message": "no"})], exit_code=1)
    assert (ending.outcome, ending.resets_at) == ("agent_error", None)


def test_the_reset_time_is_read_from_text_or_from_the_api() -> None:
    now = time.time()
    _, recorded = CODEX.play("usage-limit")
    assert recorded.resets_at is not None
    assert time.localtime(recorded.resets_at)[3:5] == (17, 55)
    words = "You've hit your usage limit. Upgrade to Pro or try again in 2 days 17 hours 14 minutes."
    ending = CODEX.end([line(type="turn.failed", error={"message": words})], exit_code=1)
    assert ending.resets_at == pytest.approx(now + 234_840, abs=60)
    answer = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 13872}
    by_api = CODEX.end([line(type="turn.failed", error={"message": json.dumps({"error": answer})})], exit_code=1)
    assert (by_api.outcome, by_api.reason) == ("quota", "The usage limit has been reached")
    assert by_api.resets_at == pytest.approx(now + 13_872, abs=60)


RECONNECTS = "Reconnecting... 1/5 (exceeded retry limit, last status: 429 Too Many Requests)"
LOGGED = (
    "{at}Z  WARN codex_core::responses_retry: stream disconnected - retrying sampling request (1/5 in {pause})... "
    "turn_id=1 retries=1 max_retries=5 sampling_error=exceeded retry limit, last status: 429 Too Many Requests"
)


@pytest.mark.parametrize(("pause", "seconds"), [("239.998151994s", 240), ("500.2ms", 0.5), ("90s", 90)])
def test_a_run_stopped_while_it_waits_for_a_limit_is_out_of_quota(pause: str, seconds: float) -> None:
    waits = line(type="error", message=RECONNECTS)
    stderr = LOGGED.format(at="2026-11-28T10:00:00.456789", pause=pause)
    ending = CODEX.end([item("agent_message", text="Hi."), waits], exit_code=None, stderr=stderr, stopped=True)
    assert (ending.outcome, ending.reason) == ("quota", f"waited for a usage limit: {RECONNECTS}")
    assert ending.resets_at == pytest.approx(datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp() + seconds, abs=1)


def test_a_run_that_continued_after_a_limit_does_not_wait() -> None:
    waits, broken = line(type="error", message=RECONNECTS), line(type="error", message="Reconnecting... 1/5 (reset)")
    for lines in ([waits, item("agent_message", text="Hi.")], [waits, broken], [broken]):
        assert CODEX.end(lines, stopped=True).outcome == "agent_error"
    assert CODEX.end([waits], stopped=True).resets_at is None


def test_the_log_of_retries_is_not_the_reason_of_a_failure() -> None:
    stderr = "Error: it broke\n" + LOGGED.format(at="2026-11-28T10:00:00.456789", pause="1s")
    assert CODEX.end([], exit_code=1, stderr=stderr).reason.endswith("Error: it broke")


def test_commands_that_the_sandbox_denies_are_counted_from_the_log() -> None:
    denied = (
        "2026-11-29T20:36:30.644616Z  WARN session_loop{thread_id=01a2}: codex_sandboxing::violation: recorded sandbox "
        "violation: resource=filesystem backend=linux_sandbox reason=policy_denied path=unknown\n"
    )
    note = "3 tool calls refused: a command that the sandbox stopped or could not start (3 times)"
    assert CODEX.end([item("agent_message", text="Hi."), completed()], stderr=3 * denied).notes == (note,)


# -- broken streams ------------------------------------------------------------------------------------------------
