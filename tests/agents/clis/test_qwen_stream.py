from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Note, SessionRef, ToolCall, ToolResult, UsageSeen
from pytest_gump.agents.clis.qwen_stream import QwenReader
from pytest_gump.agents.streams.refusals import SETTING
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.qwen import QWEN
from tests.agents.stream_kit import JSON, TASK, feed, line

if TYPE_CHECKING:
    from pathlib import Path

ONE_ANSWER = Tokens(input=1200, cache_read=500, output=50)
TWO_ANSWERS = Tokens(input=2500, cache_read=1010, output=101)
THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=153)


def answer(*content: dict[str, Any], model: str = "gpt-5.4", parent: str | None = None, **usage: int) -> bytes:
    message = {"id": "m", "model": model, "content": list(content), "usage": usage}
    return line(type="assistant", message=message, parent_tool_use_id=parent)


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


# -- events --------------------------------------------------------------------------------------------------------


def test_answers_without_usage_are_separated_by_tool_results() -> None:
    call = {"type": "tool_use", "name": "read_file", "input": {}}
    user = line(type="user", message={"content": [{"type": "tool_result", "is_error": False}]})
    ending = QWEN.end(
        [answer({"type": "text", "text": "a"}), answer(call), user, answer({"type": "text", "text": "b"})]
    )
    assert ending.usage.turns == 2


def test_answers_of_a_subagent_have_a_cost_but_are_not_turns() -> None:
    reader = QwenReader(TASK)
    call = {"type": "tool_use", "name": "run_shell_command", "input": {"command": "ls"}}
    events = feed(reader, [answer(call, parent="call_1", input_tokens=1000, output_tokens=10)])
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    assert ToolCall("run_shell_command", command="ls") in events
    assert (ending.usage.turns, ending.usage.tokens.input) == (0, 1000)
    assert ending.usage.context_tokens == 0


@pytest.mark.parametrize(
    ("tool", "arguments", "call"),
    [
        ("edit", {"file_path": "/slot/a.py"}, ToolCall("edit", path="/slot/a.py")),
        ("notebook_edit", {"notebook_path": "/slot/a.ipynb"}, ToolCall("notebook_edit", path="/slot/a.ipynb")),
        ("read_file", {"file_path": "/slot/a.py"}, ToolCall("read_file")),
        ("run_shell_command", {"command": ["ls"]}, ToolCall("run_shell_command")),
    ],
)
def test_tool_calls_name_the_path_or_the_command(tool: str, arguments: dict[str, Any], call: ToolCall) -> None:
    assert call in feed(QwenReader(TASK), [answer({"type": "tool_use", "name": tool, "input": arguments})])


def test_a_read_only_step_writes_only_its_output_file() -> None:
    events, ending = QWEN.play("read-only-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, True])
    refused = "write_file '/sandbox/repo/a.txt', run_shell_command 'echo ok > b.txt'"
    assert ending.notes == (f"2 tool calls refused ({SETTING}): {refused}",)


def test_a_writing_step_stays_in_the_worktree_and_runs_allowed_commands() -> None:
    events, ending = QWEN.play("diff-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, False, True])
    refused = "write_file '/sandbox/home/out.txt', run_shell_command 'touch sh.txt'"
    assert ending.notes == (f"2 tool calls refused ({SETTING}): {refused}",)


def test_api_retries_are_notes() -> None:
    events, ending = QWEN.play("stream-cut")
    assert Note("API retry 1") in events
    assert ending.notes == ("3 API retries",)


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_the_cost_of_a_priced_model_is_estimated_per_answer() -> None:
    usage = {"input_tokens": 1700, "cache_read_input_tokens": 500, "output_tokens": 50}
    message = {"model": "gpt-5.4", "content": [], "usage": usage}
    ending = QWEN.end([line(type="assistant", message=message), result_line(usage=usage)])
    # gpt-5.4: $2.5, $0.25 and $15 per million tokens.
    assert ending.usage.cost_usd == pytest.approx((1200 * 2.5 + 500 * 0.25 + 50 * 15) / 1e6)
    assert ending.usage.provenance == "estimated"


def test_requests_that_only_the_result_counts_have_a_cost() -> None:
    answers = answer(input_tokens=1000, output_tokens=10)
    ending = QWEN.end([answers, result_line(usage={"input_tokens": 3000, "output_tokens": 30})])
    assert ending.usage.tokens == Tokens(input=3000, output=30)
    assert ending.usage.cost_usd == pytest.approx((3000 * 2.5 + 30 * 15) / 1e6)


def test_answers_missing_from_the_result_still_have_a_cost() -> None:
    ending = QWEN.end([answer(input_tokens=1000), result_line(is_error=True, usage={"input_tokens": 0})], exit_code=1)
    assert ending.usage.tokens == Tokens(input=1000)


def test_a_resumed_run_without_an_earlier_total_is_the_sum_of_its_answers() -> None:
    _, ending = QWEN.play("resume", session=SessionRef("a79d3f1e", "qwen", "/slot"))
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + TWO_ANSWERS


def test_a_killed_run_counts_the_answers_in_its_stream() -> None:
    _, ending = QWEN.play("sigterm", stopped=True)
    assert ending.usage.tokens == ONE_ANSWER
    assert ending.session is not None
    assert ending.session.tokens == ONE_ANSWER


def test_live_usage_never_shrinks() -> None:
    events, ending = QWEN.play("basic")
    totals = [event.usage.tokens.total for event in events if isinstance(event, UsageSeen)]
    assert totals == [1750, 3611, 5583, 5583]
    assert ending.usage.tokens.total == totals[-1]


# -- the ending ----------------------------------------------------------------------------------------------------


def test_a_success_with_a_bad_exit_code_is_an_error() -> None:
    ending = QWEN.end(QWEN.lines("basic"), exit_code=1, stderr="Traceback\nout of memory\nRipgrep not available: x\n")
    assert ending.outcome == "agent_error"
    assert ending.reason == "exit code 1 after a successful result: out of memory"


def test_is_error_overrides_the_subtype() -> None:
    assert QWEN.end([result_line(is_error=True, result="it broke")]).reason == "it broke"
    assert QWEN.end([result_line(is_error=None)]).outcome == "agent_error"
    assert QWEN.end([result_line()]).outcome == "ok"


@pytest.mark.parametrize(
    "words",
    [
        "[API Error: 429 scripted failure 429]",
        "[API Error: 503 no healthy upstream]",
        "Rate limit reached",
        "[API Error: insufficient_quota]",
        "Arrearage",
    ],
)
def test_an_exhausted_limit_is_quota_only_if_the_result_is_an_error(words: str) -> None:
    failed = result_line(is_error=True, subtype="error_during_execution", error={"message": words})
    assert QWEN.end([failed], exit_code=1).outcome == "quota"
    assert QWEN.end([result_line(result=words)]).outcome == "ok"


def test_the_reason_is_the_clis_first_line_without_its_brackets() -> None:
    words = "[API Error: 429 no more]\nPossible quota limitations in place. Please wait and try again later."
    failed = result_line(is_error=True, subtype="error_during_execution", error={"message": words})
    assert QWEN.end([failed], exit_code=1).reason == "API Error: 429 no more"


def test_a_stack_trace_on_stderr_is_not_the_reason() -> None:
    stderr = "TypeError: no mode\n    at main (file:///q/cli.js:31:26)\n    at async file:///q/cli.js:454:5\n"
    assert QWEN.end([], exit_code=1, stderr=stderr).reason.endswith(": TypeError: no mode")


def test_an_agent_that_mentions_rate_limits_is_not_out_of_quota() -> None:
    talk = answer({"type": "text", "text": "API Error: 429, rate limit"}, input_tokens=5)
    assert QWEN.end([talk, result_line(is_error=True, result="no")], exit_code=1).outcome == "agent_error"


def test_the_reset_time_is_read_from_the_text() -> None:
    words = "[API Error: 429 Rate limit reached for qwen3. Please try again in 6m0s.]"
    failed = result_line(is_error=True, subtype="error_during_execution", error={"message": words})
    assert QWEN.end([failed], exit_code=1).resets_at == pytest.approx(time.time() + 360, abs=60)


# -- broken streams ------------------------------------------------------------------------------------------------


KEYS = st.sampled_from(
    ["subtype", "message", "session_id", "usage", "content", "is_error", "error", "permission_denials", "model"]
)


@given(
    kind=st.sampled_from(["assistant", "user", "system", "result", "stream_event"]),
    subtype=st.sampled_from(["init", "retry", "success", "x"]),
    record=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6),
)
def test_malformed_events_do_not_raise(kind: str, subtype: str, record: dict[str, Any]) -> None:
    reader = QwenReader(TASK)
    list(reader.feed(json.dumps({"subtype": subtype, **record, "type": kind}).encode()))
    assert reader.finish(exit_code=1, stderr="", stopped=False).outcome != "ok"


def telemetry(name: str, status: int) -> str:
    event = {"event.name": name, "status_code": status, "error_message": f"{status} Rate limit reached\nfor you"}
    return json.dumps({"type": "system", "subtype": "ui_telemetry", "systemPayload": {"uiEvent": event}})


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([telemetry("qwen-code.api_error", 429)], "quota"),
        ([telemetry("qwen-code.api_error", 500)], "agent_error"),
        ([telemetry("qwen-code.api_error", 429), telemetry("qwen-code.api_response", 200)], "agent_error"),
        ([], "agent_error"),
        (["not JSON 429"], "agent_error"),
    ],
)
def test_a_run_stopped_while_it_waits_for_a_limit_is_out_of_quota(
    records: list[str], outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is only in the file of the conversation, below QWEN_HOME."""
    monkeypatch.setenv("QWEN_HOME", str(tmp_path))
    session = "02e14c5a-d7ed-48ff-8ae4-6da66b4be2d9"
    folder = tmp_path / "projects" / re.sub("[^a-zA-Z0-9]", "-", str(TASK.worktree.resolve())) / "chats"
    folder.mkdir(parents=True)
    (folder / f"{session}.jsonl").write_text("".join(f"{record}\n" for record in records), encoding="utf-8")
    ending = QWEN.end([line(type="system", subtype="init", session_id=session, model="m")], stopped=True)
    assert ending.outcome == outcome
    if outcome == "quota":
        assert ending.reason == "waited for a usage limit: 429 Rate limit reached"
