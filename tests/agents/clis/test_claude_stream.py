from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pytest_gump.agents.base import Note, SessionRef, Started, Text, ToolCall, ToolResult, Turn, UsageSeen
from pytest_gump.agents.clis.claude_stream import ClaudeReader
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.claude import CLAUDE
from tests.agents.stream_kit import TASK, feed, line

THREE_ANSWERS = Tokens(input=3300, cache_read=1530, cache_write=600, output=153)
TWO_ANSWERS = Tokens(input=2100, cache_read=1010, cache_write=400, output=101)


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


# -- events --------------------------------------------------------------------------------------------------------


def test_tool_calls_of_a_subagent_are_reported() -> None:
    events, _ = CLAUDE.play("subagent")
    assert ToolCall("Bash", command="echo sub > sub.txt") in events


def test_a_second_init_is_not_a_second_start() -> None:
    events, _ = CLAUDE.play("subagent")
    assert sum(isinstance(event, Started) for event in events) == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "call"),
    [
        ("Edit", {"file_path": "/slot/a.py"}, ToolCall("Edit", path="/slot/a.py")),
        ("MultiEdit", {"file_path": "/slot/a.py"}, ToolCall("MultiEdit", path="/slot/a.py")),
        ("NotebookEdit", {"notebook_path": "/slot/a.ipynb"}, ToolCall("NotebookEdit", path="/slot/a.ipynb")),
        ("Read", {"file_path": "/slot/a.py"}, ToolCall("Read")),
        ("Bash", {"command": "ls"}, ToolCall("Bash", command="ls")),
        ("Bash", {"command": ["ls"]}, ToolCall("Bash")),
    ],
)
def test_tool_calls_name_the_path_or_the_command(tool: str, arguments: dict[str, Any], call: ToolCall) -> None:
    block = {"type": "tool_use", "id": "t", "name": tool, "input": arguments}
    message = {"id": "m", "model": "claude-sonnet-4-5", "content": [block]}
    assert call in feed(ClaudeReader(TASK), [line(type="assistant", message=message)])


@pytest.mark.parametrize("text", ["plain " * 600, 'says "is_error":true and {"type":"tool_result"} ' * 80, "\\" * 4000])
@pytest.mark.parametrize("is_error", [True, False])
def test_a_long_tool_result_is_read_like_a_short_one(text: str, is_error: bool) -> None:
    block = {"type": "tool_result", "content": [{"type": "text", "text": text}], "is_error": is_error}
    record = {"type": "user", "message": {"role": "user", "content": [block, {**block, "content": "short"}]}}
    compact = json.dumps(record, separators=(",", ":")).encode()
    parsed = json.dumps(record).encode()  # with spaces, which no CLI prints: read completely
    assert feed(ClaudeReader(TASK), [compact]) == feed(ClaudeReader(TASK), [parsed]) == [ToolResult(is_error)] * 2


def test_an_incomplete_line_becomes_a_note_whatever_its_length() -> None:
    half = json.dumps({"type": "user", "message": {"content": "x" * 5000}}, separators=(",", ":")).encode()[:-9]
    assert feed(ClaudeReader(TASK), [half]) == [Note("a line of the stream is not a JSON object")]


def test_the_answers_of_a_long_run_are_counted_but_not_stored() -> None:
    reader = ClaudeReader(TASK)
    answers = [line(type="assistant", message={"id": f"msg_{number}", "content": []}) for number in range(3000)]
    assert [event.number for event in feed(reader, answers) if isinstance(event, Turn)] == list(range(1, 3001))
    assert len(reader._answers) == 1000


def test_api_retries_are_notes() -> None:
    events, ending = CLAUDE.play("api-429-once")
    assert Note("API retry 1: rate_limit, 429") in events
    assert ending.notes == ("1 API retry",)
    assert ending.outcome == "ok"


def test_refused_tools_are_notes_even_in_a_successful_run() -> None:
    events, ending = CLAUDE.play("acceptedits-outside")
    assert ending.outcome == "ok"
    assert ending.notes == ("1 tool call refused: Write '/sandbox/home/claude/outside2.txt'",)
    assert Note("permission denied: Write: Path is outside allowed working directories") in events


def test_a_run_stopped_while_it_waits_for_a_limit_is_out_of_quota() -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "retry_delay_ms": 60_000, "error": "rate_limit"}
    start = CLAUDE.lines("api-429")[0]
    limited = CLAUDE.end([start, line(**retry, error_status=429)], stopped=True)
    assert (limited.outcome, limited.reason) == ("quota", "waited for a usage limit: API retry 1: rate_limit, 429")
    assert limited.resets_at == pytest.approx(time.time() + 60, abs=5)
    assert CLAUDE.end([start, line(**retry, error_status=500)], stopped=True).outcome == "agent_error"


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_a_session_contains_the_cost_so_far() -> None:
    _, first = CLAUDE.play("resume-1")
    _, resumed = CLAUDE.play("resume", session=first.session)
    assert first.session is not None
    assert first.session.cost_usd == pytest.approx(0.014904)
    assert resumed.session is not None
    assert resumed.session.cost_usd == pytest.approx(0.024522)


def test_a_resumed_run_with_an_unknown_earlier_total_is_estimated() -> None:
    _, ending = CLAUDE.play("resume", session=SessionRef("6f286cde", "claude", "/slot"))
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd == pytest.approx(0.009618)


def test_a_resumed_run_stopped_by_its_budget_costs_only_its_own_part() -> None:
    before = SessionRef("2168017a", "claude", "/slot", cost_usd=0.014904, tokens=THREE_ANSWERS)
    _, ending = CLAUDE.play("budget-resume", session=before)
    assert ending.usage.cost_usd == pytest.approx(0.020508)
    assert ending.usage.tokens.output == 206
    assert ending.limit == "max_budget"


def test_the_last_result_counts_and_includes_the_subagents() -> None:
    _, ending = CLAUDE.play("subagent")
    assert ending.usage.cost_usd == pytest.approx(0.024522)
    assert ending.usage.tokens == Tokens(input=5400, cache_read=2540, cache_write=1000, output=254)
    assert ending.message == "(script over)"


def test_the_context_of_a_subagent_is_not_the_context_of_the_conversation() -> None:
    lines = CLAUDE.lines("subagent")
    for number, record in enumerate(map(json.loads, lines)):
        if record.get("parent_tool_use_id") is not None and record["type"] == "assistant":
            record["message"]["usage"]["cache_read_input_tokens"] = 150_000
            lines[number] = line(**record)
    assert CLAUDE.end(lines).usage.context_tokens == 1200 + 520 + 200


def test_the_context_is_reported_during_the_run_and_after_a_compaction() -> None:
    reader = ClaudeReader(TASK)
    seen = []
    for number, cached in enumerate((90_000, 150_000, 20_000)):
        usage = {"input_tokens": 3, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 700}
        events = feed(reader, [line(type="assistant", message={"id": f"m{number}", "usage": usage, "content": []})])
        seen += [event.usage.context_tokens for event in events if isinstance(event, UsageSeen)]
    assert seen == [90_703, 150_703, 150_703]
    assert reader.finish(exit_code=None, stderr="", stopped=True).usage.context_tokens == 150_703


def test_the_cost_of_a_killed_run_is_estimated_from_its_stream() -> None:
    _, ending = CLAUDE.play("sigterm", stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.tokens.input == 1000
    # 1000 tokens of input, 500 cache read, 200 cache write: $0.0039 without output. The whole answer cost $0.00465.
    assert ending.usage.cost_usd is not None
    assert 0.0039 < ending.usage.cost_usd < 0.0055


def test_the_cost_of_a_killed_run_of_an_unpriced_model_is_unknown() -> None:
    _, ending = CLAUDE.play("unknown-model")
    lines = [text for text in CLAUDE.lines("unknown-model") if b'"total_cost_usd"' not in text]
    killed = CLAUDE.end(lines, exit_code=143, stopped=True)
    assert ending.usage.cost_usd is not None
    assert killed.usage.cost_usd is None
    assert killed.usage.provenance == "unknown"


def test_live_usage_never_shrinks_and_is_near_the_reported_cost() -> None:
    events, ending = CLAUDE.play("basic")
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    costs = [usage.cost_usd or 0.0 for usage in live]
    assert costs == sorted(costs)
    assert costs[-2] == pytest.approx(ending.usage.cost_usd, rel=0.15)
    assert live[-2].provenance == "estimated"
    assert live[-1].provenance == "reported"


def test_usage_after_the_last_result_is_estimated_and_added() -> None:
    lines = CLAUDE.lines("subagent")
    last_answer = next(index for index, text in enumerate(lines) if b"(script over)" in text)
    first_result = next(text for text in lines if b'"result_index":0' in text)
    killed = CLAUDE.end([*lines[:last_answer], first_result, lines[last_answer]], exit_code=143, stopped=True)
    assert killed.usage.provenance == "estimated"
    assert killed.usage.cost_usd is not None
    assert killed.usage.cost_usd > 0.024522


# -- the ending ----------------------------------------------------------------------------------------------------


def test_an_interrupted_run_with_exit_code_0_is_not_a_success() -> None:
    assert CLAUDE.exit_code("sigint") == 0
    _, ending = CLAUDE.play("sigint")
    assert ending.outcome == "agent_error"
    assert ending.usage.cost_usd == pytest.approx(0.00465)


def test_is_error_overrides_the_subtype() -> None:
    assert CLAUDE.end([result_line(is_error=True, result="it broke")]).reason == "it broke"
    assert CLAUDE.end([result_line(is_error=None)]).outcome == "agent_error"
    assert CLAUDE.end([result_line()]).outcome == "ok"


@pytest.mark.parametrize(
    "words",
    [
        "Claude AI usage limit reached|1767225600",
        "You've hit your limit · resets 3pm",
        "Credit balance is too low",
        "5-hour session limit reached",
        "You've hit your weekly limit · resets Feb 16, 11am (Europe/Berlin)",
        "You're out of extra usage · resets 2am",
        'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    ],
)
def test_an_exhausted_limit_is_quota_only_if_the_result_is_an_error(words: str) -> None:
    assert CLAUDE.end([result_line(is_error=True, result=words)], exit_code=1).outcome == "quota"
    assert CLAUDE.end([result_line(result=words)]).outcome == "ok"


def limit_line(status: str, resets_at: float | None = None, kind: str = "five_hour") -> bytes:
    info = {"status": status, "resetsAt": resets_at, "rateLimitType": kind, "isUsingOverage": False}
    return line(type="rate_limit_event", rate_limit_info=info, session_id="s")


LIMIT = result_line(is_error=True, result="You've hit your limit", api_error_status=429)


def test_the_reset_time_comes_from_the_event_that_reports_the_limit() -> None:
    resets_at = time.time() // 1 + 3600
    assert CLAUDE.end([limit_line("rejected", resets_at), LIMIT], exit_code=1).resets_at == resets_at
    assert CLAUDE.end([limit_line("rejected", resets_at * 1000), LIMIT], exit_code=1).resets_at == resets_at
    both = [limit_line("rejected", resets_at, "seven_day"), limit_line("rejected", resets_at - 60)]
    assert CLAUDE.end([*both, LIMIT], exit_code=1).resets_at == resets_at


def test_the_reset_time_of_a_limit_that_allowed_requests_is_ignored() -> None:
    resets_at = time.time() // 1 + 3600
    warning = limit_line("allowed_warning", resets_at)
    assert CLAUDE.end([warning, LIMIT], exit_code=1).resets_at is None
    assert CLAUDE.end([limit_line("rejected", resets_at), limit_line("allowed"), LIMIT], exit_code=1).resets_at is None
    ending = CLAUDE.end([limit_line("rejected", resets_at), result_line()])
    assert (ending.outcome, ending.resets_at) == ("ok", None)


def test_the_reset_time_is_read_from_text_if_no_event_has_it() -> None:
    soon = int(time.time()) + 3600
    ending = CLAUDE.end([result_line(is_error=True, result=f"Claude AI usage limit reached|{soon}")], exit_code=1)
    assert (ending.outcome, ending.resets_at) == ("quota", soon)
    refused = [limit_line("rejected"), result_line(is_error=True, result=f"usage limit reached|{soon}")]
    assert CLAUDE.end(refused, exit_code=1).resets_at == soon


@pytest.mark.parametrize("status", [503, 529])
def test_an_overload_status_is_quota_whatever_the_text(status: int) -> None:
    assert CLAUDE.end([result_line(is_error=True, result="API Error", api_error_status=status)]).outcome == "quota"
    assert CLAUDE.end([result_line(is_error=True, result="API Error", api_error_status=500)]).outcome == "agent_error"


def test_a_limit_message_instead_of_the_last_answer_is_quota_despite_success() -> None:
    said = {"id": "m", "model": "<synthetic>", "content": [{"type": "text", "text": "Limit reached"}]}
    limit_answer = line(type="assistant", message=said, error="rate_limit")
    assert CLAUDE.end([limit_answer, result_line(result="Limit reached")]).outcome == "quota"
    answer = line(type="assistant", message={"id": "n", "model": "claude-sonnet-4-5", "content": []})
    assert CLAUDE.end([limit_answer, answer, result_line()]).outcome == "ok"
    other = line(type="assistant", message=said, error="rate_limit", parent_tool_use_id="toolu_1")
    assert CLAUDE.end([other, result_line()]).outcome == "ok"


def test_a_limit_in_the_output_of_a_tool_is_not_quota() -> None:
    printed = '{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":4102444800}}'
    content = [
        {"type": "tool_result", "tool_use_id": "t", "content": f"usage limit reached\n{printed}", "is_error": True}
    ]
    user = line(type="user", message={"role": "user", "content": content}, tool_use_result={"stdout": printed})
    assert CLAUDE.end([user, result_line()]).outcome == "ok"
    ending = CLAUDE.end([user, result_line(is_error=True, result="it broke")], exit_code=1)
    assert (ending.outcome, ending.resets_at) == ("agent_error", None)


def test_an_agent_that_mentions_rate_limits_is_not_out_of_quota() -> None:
    message = {
        "id": "m",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "usage limit reached (429)"}],
    }
    ending = CLAUDE.end([line(type="assistant", message=message), result_line(is_error=True, result="no")], exit_code=1)
    assert ending.outcome == "agent_error"


def test_a_synthetic_answer_of_the_cli_is_not_a_turn() -> None:
    events, ending = CLAUDE.play("no-key")
    assert ending.usage.turns == 0
    assert ending.usage.cost_usd == 0
    assert not any(isinstance(event, Turn | Text) for event in events)


def test_a_killed_run_keeps_the_total_reported_before() -> None:
    before = SessionRef("old", "claude", "/slot", cost_usd=0.5, tokens=Tokens(input=7))
    _, ending = CLAUDE.play("sigterm", session=before, stopped=True)
    assert ending.session is not None
    assert ending.session.cost_usd == 0.5
    assert ending.session.tokens == Tokens(input=7)


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", ["1e999", "NaN", "-1", '"0.5"', "true", "null", "1" * 400])
def test_an_invalid_cost_is_ignored(cost: str) -> None:
    raw = f'{{"type": "result", "subtype": "success", "is_error": false, "total_cost_usd": {cost}}}'.encode()
    ending = CLAUDE.end([raw])
    assert ending.usage.provenance in {"estimated", "unknown"}
    assert ending.usage.cost_usd in {None, 0.0}


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    raw = rb'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"a\ud800b"}]}}'
    events = feed(ClaudeReader(TASK), [raw])
    assert Text("a?b") in events


KEYS = ["type", "subtype", "message", "content", "usage", "modelUsage", "total_cost_usd", "session_id", "model", "id"]
KEYS += ["errors", "result", "permission_denials", "parent_tool_use_id", "name", "input", "is_error", "num_turns"]
