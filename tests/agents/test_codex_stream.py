from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import (
    Note,
    SessionRef,
    Started,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    UsageSeen,
)
from pytest_gump.agents.codex_stream import CodexReader

from tests.agents.stream_kit import JSON, PATHS, TASK, Recorded, feed, line

CODEX = Recorded("codex", lambda task: CodexReader(task, "gpt-5.5"))
THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=132, reasoning=21)
TWO_ANSWERS = Tokens(input=2500, cache_read=1010, output=87, reasoning=14)
# 3900 * $5 + 1530 * $0.5 + 153 * $30, a million tokens
THREE_ANSWERS_USD = 0.024855


def item(kind: str, **content: Any) -> bytes:
    return line(type="item.completed", item={"id": "item_9", "type": kind, **content})


def completed(**usage: int) -> bytes:
    return line(type="turn.completed", usage=usage)


# -- events --------------------------------------------------------------------------------------------------------


def test_events_of_a_plain_run_come_in_order() -> None:
    events, ending = CODEX.play("basic")
    assert [event for event in events if not isinstance(event, UsageSeen)] == [
        Started("01a20227-244a-7a90-bdf6-b08976e143d3", "gpt-5.5"),
        Turn(1),
        Text("I will write the file."),
        ToolCall("apply_patch", path="/sandbox/repo/codex/basic/hello.py"),
        ToolResult(),
        Turn(2),
        Text("Now run it."),
        ToolCall("shell", command="python3 hello.py > out.txt; cat out.txt"),
        ToolResult(),
        Turn(3),
        Text("All done: hello.py written and run."),
    ]
    assert ending.message == "All done: hello.py written and run."


@pytest.mark.parametrize(
    ("scenario", "turns", "tool_calls"),
    [
        ("basic", 3, 2),
        ("x-think", 1, 0),
        ("x-todo", 3, 0),
        ("x-readonly", 3, 1),
        ("failing-command", 2, 1),
        ("sigterm", 1, 1),
        ("api-401", 0, 0),
    ],
)
def test_turns_are_answers_as_far_as_they_can_be_told(scenario: str, turns: int, tool_calls: int) -> None:
    events, ending = CODEX.play(scenario)
    assert (ending.usage.turns, ending.usage.tool_calls) == (turns, tool_calls)
    assert [event.number for event in events if isinstance(event, Turn)] == list(range(1, turns + 1))


def test_tools_that_one_answer_called_one_after_the_other_count_as_answers() -> None:
    """Nothing in the stream tells them from two answers: there were two answers, three are counted."""
    _, ending = CODEX.play("x-parallel-calls")
    assert ending.usage.turns == 3


def test_tools_that_run_at_the_same_time_belong_to_one_answer() -> None:
    started = [
        line(type="item.started", item={"id": name, "type": "command_execution", "command": "ls"}) for name in "ab"
    ]
    events = feed(CodexReader(TASK), started)
    assert [event for event in events if isinstance(event, Turn)] == [Turn(1)]
    assert sum(isinstance(event, ToolCall) for event in events) == 2


def test_a_patch_of_several_files_names_each_and_is_one_tool_call() -> None:
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
def test_commands_are_shown_without_the_shell_around_them(shown: str, command: str) -> None:
    events = feed(CodexReader(TASK), [item("command_execution", command=shown, status="completed")])
    assert ToolCall("shell", command=command) in events


def test_other_tools_are_named() -> None:
    events = feed(CodexReader(TASK), [item("mcp_tool_call", server="s", tool="lookup", status="failed")])
    assert ToolCall("lookup") in events
    assert ToolResult(is_error=True) in events


def test_a_failing_command_is_an_error_of_the_tool_and_not_of_the_run() -> None:
    events, ending = CODEX.play("failing-command")
    assert ToolResult(is_error=True) in events
    assert ending.outcome == "ok"


def test_retries_and_warnings_are_notes() -> None:
    events, ending = CODEX.play("api-401")
    assert sum(isinstance(event, Note) for event in events) == 5
    assert ending.notes == ("5 API retries",)
    _, warned = CODEX.play("x-unknown-model")
    assert warned.outcome == "ok"
    assert warned.notes[0].startswith("Model metadata for `nope` not found.")


def test_what_the_sandbox_refused_is_a_note_of_a_run_that_says_success() -> None:
    _, ending = CODEX.play("x-readonly")
    assert ending.outcome == "ok"
    assert ending.notes == (
        "tool refused: patch rejected: writing is blocked by read-only sandbox; rejected by user approval settings",
    )


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_tokens_do_not_overlap_and_cost_is_estimated() -> None:
    _, ending = CODEX.play("basic")
    assert ending.usage.tokens == THREE_ANSWERS
    assert ending.usage.cost_usd == pytest.approx(THREE_ANSWERS_USD)
    assert ending.usage.provenance == "estimated"


@pytest.mark.parametrize(("first", "second"), [("resume-1", "resume"), ("fork-1", "fork")])
def test_a_resumed_or_forked_run_is_charged_for_its_own_part(first: str, second: str) -> None:
    _, before = CODEX.play(first)
    _, ending = CODEX.play(second, session=before.session)
    assert before.usage.tokens == THREE_ANSWERS
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + TWO_ANSWERS


def test_resuming_keeps_the_thread_and_forking_makes_another() -> None:
    _, first = CODEX.play("resume-1")
    _, resumed = CODEX.play("resume", session=first.session)
    _, origin = CODEX.play("fork-1")
    _, forked = CODEX.play("fork", session=origin.session)
    assert first.session is not None
    assert resumed.session is not None
    assert origin.session is not None
    assert forked.session is not None
    assert resumed.session.id == first.session.id
    assert forked.session.id != origin.session.id


def test_a_total_below_the_earlier_one_began_anew() -> None:
    _, ending = CODEX.play("basic", session=SessionRef("x", "codex", "/slot", tokens=Tokens(input=999_999)))
    assert ending.usage.tokens == THREE_ANSWERS


@pytest.mark.parametrize("model", [None, "nope"])
def test_a_model_without_a_price_has_no_cost(model: str | None) -> None:
    reader = CodexReader(TASK, model)
    feed(reader, CODEX.lines("basic"))
    usage = reader.finish(exit_code=0, stderr="", stopped=False).usage
    assert usage.tokens == THREE_ANSWERS
    assert (usage.cost_usd, usage.provenance) == (None, "unknown")


def test_a_killed_run_is_estimated_from_what_was_seen_and_hands_that_on() -> None:
    before = SessionRef("x", "codex", "/slot", tokens=THREE_ANSWERS)
    _, ending = CODEX.play("sigterm", session=before, stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd is not None
    assert ending.usage.cost_usd > 0
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + ending.usage.tokens


def test_live_usage_only_grows_until_the_cli_tells_its_own() -> None:
    events, _ = CODEX.play("basic")
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    costs = [usage.cost_usd or 0.0 for usage in live[:-1]]
    assert costs == sorted(costs)
    assert costs[0] > 0
    assert live[-1].tokens == THREE_ANSWERS


def test_a_run_that_never_spoke_cost_nothing() -> None:
    _, ending = CODEX.play("api-401")
    assert ending.usage.cost_usd == 0
    assert ending.usage.tokens == Tokens()


def test_a_long_conversation_is_not_charged_as_one_long_context() -> None:
    """Ten answers of 50,000 tokens each: the dearer rate for a long context does not apply."""
    talk = [item("agent_message", text="x") for _ in range(10)]
    end = CODEX.end([*talk, completed(input_tokens=500_000, output_tokens=10_000)])
    assert end.usage.cost_usd == pytest.approx(500_000 * 5e-6 + 10_000 * 30e-6)


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason"),
    [
        ("basic", "ok", ""),
        ("api-500-once", "ok", ""),
        ("api-400", "agent_error", "scripted failure 400"),
        ("api-429", "quota", "exceeded retry limit, last status: 429 Too Many Requests"),
        ("no-key", "agent_error", "Missing environment variable: `SCRIPTED_KEY`."),
        (
            "stream-cut",
            "agent_error",
            "stream disconnected before completion: Transport error: network error: error decoding response body",
        ),
        (
            "resume-unknown",
            "agent_error",
            (
                "ended without turn.completed, exit code 1: Error: thread/resume: thread/resume failed: no rollout found"
                " for thread id 11111111-2222-4333-8444-555555555555 (code -32600)"
            ),
        ),
    ],
)
def test_the_end_is_told_truthfully(scenario: str, outcome: str, reason: str) -> None:
    _, ending = CODEX.play(scenario)
    assert (ending.outcome, ending.reason, ending.limit) == (outcome, reason, None)


@pytest.mark.parametrize(("scenario", "words"), [("api-401", "401 Unauthorized"), ("api-500", "high demand")])
def test_an_api_error_is_told_in_the_clis_words(scenario: str, words: str) -> None:
    _, ending = CODEX.play(scenario)
    assert ending.outcome == "agent_error"
    assert words in ending.reason


@pytest.mark.parametrize("scenario", ["sigterm", "sigint"])
def test_a_killed_run_is_no_success(scenario: str) -> None:
    _, ending = CODEX.play(scenario)
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith("ended without turn.completed, ")


def test_a_run_that_waits_for_the_network_was_stopped_by_us() -> None:
    _, ending = CODEX.play("connection-refused", stopped=True)
    assert ending.reason == "stopped before it had finished"


def test_exit_code_0_without_the_final_event_is_an_error() -> None:
    ending = CODEX.end(CODEX.lines("basic")[:-1])
    assert ending.outcome == "agent_error"
    assert ending.reason == "ended without turn.completed, exit code 0"


def test_a_success_with_a_bad_exit_code_is_an_error() -> None:
    ending = CODEX.end(CODEX.lines("basic"), exit_code=101, stderr="thread panicked\n")
    assert (ending.outcome, ending.reason) == ("agent_error", "exit code 101 after turn.completed: thread panicked")


def test_a_failed_turn_is_believed_more_than_the_exit_code() -> None:
    assert CODEX.end([line(type="turn.failed", error={"message": "it broke"})]).reason == "it broke"
    assert CODEX.end([line(type="turn.failed")]).reason == "the turn failed for no stated reason"


@pytest.mark.parametrize(
    "words",
    [
        "You've hit your usage limit. Upgrade to Pro or try again in 3 days.",
        "Quota exceeded. Check your plan and billing details.",
        "rate limit reached for gpt-5.5",
    ],
)
def test_a_used_up_limit_is_quota_only_in_the_clis_own_failure(words: str) -> None:
    assert CODEX.end([line(type="turn.failed", error={"message": words})], exit_code=1).outcome == "quota"
    said = item("agent_message", text=words)
    assert CODEX.end([said, line(type="turn.failed", error={"message": "no"})], exit_code=1).outcome == "agent_error"
    assert CODEX.end([said, completed(input_tokens=1)]).outcome == "ok"


def test_a_run_that_never_started_has_no_session() -> None:
    _, ending = CODEX.play("resume-unknown", session=SessionRef("1111", "codex", "/slot"))
    assert ending.session is None


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"not json", b'{"type": "item', b"\0\0", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_noted_once_and_the_rest_is_read(junk: bytes) -> None:
    reader = CodexReader(TASK, "gpt-5.5")
    events = feed(reader, [junk, junk, *CODEX.lines("basic")])
    assert events[0] == Note("a line of the stream is not a JSON object")
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tokens == THREE_ANSWERS


def test_unknown_events_and_empty_lines_are_passed_over() -> None:
    lines = [b"", b" ", line(type="brand_new"), line(type="item.updated", item={"type": "todo_list"}), item("new")]
    assert feed(CodexReader(TASK), lines) == []


def test_a_line_of_ten_megabytes_is_read() -> None:
    output = item("command_execution", command="cat big", aggregated_output="x" * 10_000_000, status="completed")
    assert ToolResult() in feed(CodexReader(TASK), [output])


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_feed_never_raises_on_any_bytes(lines: list[bytes]) -> None:
    assert CODEX.end(lines).outcome == "agent_error"


@given(scenario=st.sampled_from(CODEX.scenarios), which=st.integers(0, 50), path=PATHS, replacement=JSON)
def test_no_change_of_a_recorded_line_breaks_the_reader(
    scenario: str, which: int, path: list[int], replacement: Any
) -> None:
    ending = CODEX.end(CODEX.mutated(scenario, which, path, replacement))
    assert ending.outcome in {"ok", "agent_error", "quota"}
    assert json.dumps(ending.usage.cost_usd)
    ending.reason.encode()
