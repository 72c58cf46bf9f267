from __future__ import annotations

import dataclasses
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
    SessionRef,
    Started,
    Task,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    UsageSeen,
)
from pytest_gump.agents.qwen_stream import QwenReader

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAMS = Path(__file__).parent / "streams" / "qwen"
SCENARIOS = sorted(folder.name for folder in STREAMS.iterdir())
TASK = Task(step="impl", item=None, attempt=1, agent="qwen", prompt="", worktree=Path("/slot"), mode="diff")
ONE_ANSWER = Tokens(input=1200, cache_read=500, output=50)
TWO_ANSWERS = Tokens(input=2500, cache_read=1010, output=101)
THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=153)


def lines_of(scenario: str) -> list[bytes]:
    return (STREAMS / scenario / "stream.ndjson").read_bytes().splitlines()


def feed(reader: QwenReader, lines: Iterable[bytes]) -> list[Event]:
    return [event for line in lines for event in reader.feed(line)]


def play(scenario: str, *, session: SessionRef | None = None, stopped: bool = False) -> tuple[list[Event], Ending]:
    reader = QwenReader(dataclasses.replace(TASK, session=session))
    events = feed(reader, lines_of(scenario))
    errors = STREAMS / scenario / "stderr.txt"
    exit_code = json.loads((STREAMS / scenario / "exit.json").read_bytes())["exit_code"]
    stderr = errors.read_text() if errors.exists() else ""
    return events, reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def end(lines: Iterable[bytes], *, exit_code: int | None = 0, stderr: str = "", stopped: bool = False) -> Ending:
    reader = QwenReader(TASK)
    feed(reader, lines)
    return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def line(**record: Any) -> bytes:
    return json.dumps(record).encode()


def answer(*content: dict[str, Any], model: str = "gpt-5.4", parent: str | None = None, **usage: int) -> bytes:
    message = {"id": "m", "model": model, "content": list(content), "usage": usage}
    return line(type="assistant", message=message, parent_tool_use_id=parent)


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


# -- events --------------------------------------------------------------------------------------------------------


def test_events_of_a_plain_run_come_in_order() -> None:
    events, _ = play("basic")
    told = [event for event in events if not isinstance(event, UsageSeen)]
    assert told == [
        Started("2c4db2af-f2f6-4454-95fc-e736a8d11502", "qwen3-coder-plus"),
        Turn(1),
        Text("I will write the file."),
        ToolCall("write_file", path="/sandbox/repo/qwen/basic/hello.py"),
        ToolResult(),
        Turn(2),
        Text("Now run it."),
        ToolCall("run_shell_command", command="python3 hello.py > out.txt; cat out.txt"),
        ToolResult(),
        Turn(3),
        Text("All done: hello.py written and run."),
    ]


@pytest.mark.parametrize(
    ("scenario", "turns", "tool_calls"),
    [
        ("basic", 3, 2),
        ("parallel-calls", 2, 2),
        ("maxturns-parallel", 3, 6),
        ("turn-limit", 2, 2),
        ("max-tool-calls", 3, 3),
        ("failing-command", 2, 1),
        ("resume", 2, 1),
        ("stream-cut", 1, 0),
        ("sigterm", 1, 1),
        ("api-401", 0, 0),
        ("api-429", 0, 0),
        ("no-key", 0, 0),
    ],
)
def test_turns_are_answers_of_the_model(scenario: str, turns: int, tool_calls: int) -> None:
    events, ending = play(scenario)
    assert (ending.usage.turns, ending.usage.tool_calls) == (turns, tool_calls)
    assert [event.number for event in events if isinstance(event, Turn)] == list(range(1, turns + 1))


def test_answers_without_any_usage_are_counted_by_the_results_between_them() -> None:
    call = {"type": "tool_use", "name": "read_file", "input": {}}
    user = line(type="user", message={"content": [{"type": "tool_result", "is_error": False}]})
    ending = end([answer({"type": "text", "text": "a"}), answer(call), user, answer({"type": "text", "text": "b"})])
    assert ending.usage.turns == 2


def test_a_subagents_answers_are_charged_but_are_no_turns() -> None:
    reader = QwenReader(TASK)
    call = {"type": "tool_use", "name": "run_shell_command", "input": {"command": "ls"}}
    events = feed(reader, [answer(call, parent="call_1", input_tokens=1000, output_tokens=10)])
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    assert ToolCall("run_shell_command", command="ls") in events
    assert (ending.usage.turns, ending.usage.tokens.input) == (0, 1000)


@pytest.mark.parametrize(
    ("tool", "arguments", "call"),
    [
        ("edit", {"file_path": "/slot/a.py"}, ToolCall("edit", path="/slot/a.py")),
        ("notebook_edit", {"notebook_path": "/slot/a.ipynb"}, ToolCall("notebook_edit", path="/slot/a.ipynb")),
        ("read_file", {"file_path": "/slot/a.py"}, ToolCall("read_file")),
        ("run_shell_command", {"command": ["ls"]}, ToolCall("run_shell_command")),
    ],
)
def test_tool_calls_name_what_they_write_or_run(tool: str, arguments: dict[str, Any], call: ToolCall) -> None:
    assert call in feed(QwenReader(TASK), [answer({"type": "tool_use", "name": tool, "input": arguments})])


def test_a_failing_command_is_an_error_of_the_tool_and_not_of_the_run() -> None:
    events, ending = play("failing-command")
    assert ToolResult(is_error=True) in events
    assert ending.outcome == "ok"


def test_refused_tools_are_notes_even_though_the_run_says_success() -> None:
    _, ending = play("readonly")
    assert ending.outcome == "ok"
    assert ending.notes == (
        "permission denied: write_file: /sandbox/repo/qwen/readonly/hello.py",
        "permission denied: run_shell_command: python3 hello.py > out.txt; cat out.txt",
    )


def test_a_step_that_only_reads_writes_its_hand_over_and_nothing_else() -> None:
    events, ending = play("read-only-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, True])
    assert ending.notes == (
        "permission denied: write_file: /sandbox/repo/a.txt",
        "permission denied: run_shell_command: echo ok > b.txt",
    )


def test_a_step_that_changes_files_stays_in_the_worktree_and_runs_what_is_allowed() -> None:
    events, ending = play("diff-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, False, True])
    assert ending.notes == (
        "permission denied: write_file: /sandbox/home/out.txt",
        "permission denied: run_shell_command: touch sh.txt",
    )


def test_api_retries_are_notes() -> None:
    events, ending = play("stream-cut")
    assert Note("API retry 1") in events
    assert ending.notes == ("3 API retries",)


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_input_is_counted_without_what_came_from_the_cache() -> None:
    _, ending = play("basic")
    assert ending.usage.tokens == THREE_ANSWERS
    assert ending.usage.tokens.total == 5583


def test_a_model_without_a_price_costs_an_unknown_amount() -> None:
    _, ending = play("basic")
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_a_priced_model_is_estimated_answer_by_answer() -> None:
    usage = {"input_tokens": 1700, "cache_read_input_tokens": 500, "output_tokens": 50}
    message = {"model": "gpt-5.4", "content": [], "usage": usage}
    ending = end([line(type="assistant", message=message), result_line(usage=usage)])
    # gpt-5.4: $2.5, $0.25 and $15 for a million.
    assert ending.usage.cost_usd == pytest.approx((1200 * 2.5 + 500 * 0.25 + 50 * 15) / 1e6)
    assert ending.usage.provenance == "estimated"


def test_requests_that_only_the_result_counts_are_charged_too() -> None:
    answers = answer(input_tokens=1000, output_tokens=10)
    ending = end([answers, result_line(usage={"input_tokens": 3000, "output_tokens": 30})])
    assert ending.usage.tokens == Tokens(input=3000, output=30)
    assert ending.usage.cost_usd == pytest.approx((3000 * 2.5 + 30 * 15) / 1e6)


def test_a_result_that_forgot_the_answers_does_not_make_them_free() -> None:
    ending = end([answer(input_tokens=1000), result_line(is_error=True, usage={"input_tokens": 0})], exit_code=1)
    assert ending.usage.tokens == Tokens(input=1000)


@pytest.mark.parametrize("scenario", ["resume", "fork"])
def test_a_resumed_run_is_charged_for_its_own_part(scenario: str) -> None:
    _, first = play("resume-1")
    assert first.session is not None
    assert first.session.tokens == THREE_ANSWERS
    _, ending = play(scenario, session=first.session)
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + TWO_ANSWERS
    assert (ending.session.id == first.session.id) == (scenario == "resume")


def test_a_resumed_run_with_an_unknown_earlier_total_is_the_sum_of_its_answers() -> None:
    _, ending = play("resume", session=SessionRef("a79d3f1e", "qwen", "/slot"))
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.session is not None
    assert ending.session.tokens == THREE_ANSWERS + TWO_ANSWERS


def test_a_total_below_the_earlier_one_is_not_subtracted_from() -> None:
    _, ending = play("basic", session=SessionRef("x", "qwen", "/slot", tokens=Tokens(input=999_999)))
    assert ending.usage.tokens == THREE_ANSWERS


def test_a_killed_run_counts_the_answers_that_were_seen() -> None:
    _, ending = play("sigterm", stopped=True)
    assert ending.usage.tokens == ONE_ANSWER
    assert ending.session is not None
    assert ending.session.tokens == ONE_ANSWER


def test_live_usage_only_grows() -> None:
    events, ending = play("basic")
    totals = [event.usage.tokens.total for event in events if isinstance(event, UsageSeen)]
    assert totals == [1750, 3611, 5583, 5583]
    assert ending.usage.tokens.total == totals[-1]


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason", "limit"),
    [
        ("basic", "ok", "", None),
        ("api-429-once", "ok", "", None),
        ("api-400", "agent_error", "API Error: 400 scripted failure 400", None),
        ("api-401", "agent_error", "API Error: 401 scripted failure 401", None),
        ("api-500", "agent_error", "API Error: 500 scripted failure 500", None),
        ("connection-refused", "agent_error", "API Error: Connection error. (cause: fetch failed)", None),
        ("stream-cut", "agent_error", "API Error: terminated (cause: UND_ERR_SOCKET: other side closed)", None),
        (
            "no-key",
            "agent_error",
            (
                "Missing API key for OpenAI-compatible auth. Set settings.security.auth.apiKey, or set the"
                " 'OPENAI_API_KEY' environment variable."
            ),
            None,
        ),
        (
            "turn-limit",
            "agent_error",
            (
                "ended without a result, exit code 53: Reached max session turns for this session. Increase the number"
                " of turns by specifying maxSessionTurns in settings.json."
            ),
            "max_turns",
        ),
        (
            "max-tool-calls",
            "agent_error",
            (
                "ended without a result, exit code 55: Run aborted: tool-call budget of 2 exceeded (--max-tool-calls);"
                " observed 3."
            ),
            None,
        ),
        (
            "resume-unknown",
            "agent_error",
            (
                "ended without a result, exit code 1: No saved session found with ID"
                " 11111111-2222-4333-8444-555555555555. Run `qwen --resume` without an ID to choose from existing"
                " sessions."
            ),
            None,
        ),
        ("sigterm", "agent_error", "ended without a result, ended by signal 15", None),
        ("api-429", "agent_error", "ended without a result, ended by a signal", None),
    ],
)
def test_the_end_is_told_truthfully(scenario: str, outcome: str, reason: str, limit: str | None) -> None:
    _, ending = play(scenario)
    assert (ending.outcome, ending.reason, ending.limit) == (outcome, reason, limit)


def test_a_limit_of_ours_is_no_limit_of_the_cli() -> None:
    _, ending = play("turn-limit", stopped=True)
    assert (ending.limit, ending.reason) == (None, "stopped before it had finished")


def test_exit_code_0_without_a_result_is_an_error() -> None:
    ending = end(lines_of("basic")[:-1])
    assert (ending.outcome, ending.reason) == ("agent_error", "ended without a result, exit code 0")
    assert ending.message == "All done: hello.py written and run."


def test_a_success_with_a_bad_exit_code_is_an_error() -> None:
    ending = end(lines_of("basic"), exit_code=1, stderr="Traceback\nout of memory\nRipgrep not available: x\n")
    assert ending.outcome == "agent_error"
    assert ending.reason == "exit code 1 after a result that says success: out of memory"


def test_is_error_is_believed_more_than_the_subtype() -> None:
    assert end([result_line(is_error=True, result="it broke")]).reason == "it broke"
    assert end([result_line(is_error=None)]).outcome == "agent_error"
    assert end([result_line()]).outcome == "ok"


@pytest.mark.parametrize(
    "words",
    ["[API Error: 429 scripted failure 429]", "Rate limit reached", "[API Error: insufficient_quota]", "Arrearage"],
)
def test_a_used_up_limit_is_quota_only_when_the_result_is_an_error(words: str) -> None:
    failed = result_line(is_error=True, subtype="error_during_execution", error={"message": words})
    assert end([failed], exit_code=1).outcome == "quota"
    assert end([result_line(result=words)]).outcome == "ok"


def test_an_agent_that_talks_about_rate_limits_is_not_out_of_quota() -> None:
    talk = answer({"type": "text", "text": "API Error: 429, rate limit"}, input_tokens=5)
    assert end([talk, result_line(is_error=True, result="no")], exit_code=1).outcome == "agent_error"


def test_a_run_that_never_started_has_no_session() -> None:
    _, ending = play("resume-unknown", session=SessionRef("1111", "qwen", "/slot"))
    assert ending.session is None


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"not json", b'{"type": "assist', b"\0\0", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_noted_once_and_the_rest_is_read(junk: bytes) -> None:
    reader = QwenReader(TASK)
    events = feed(reader, [junk, junk, *lines_of("basic")])
    assert events[0] == Note("a line of the stream is not a JSON object")
    assert sum(isinstance(event, Note) for event in events) == 1
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tokens == THREE_ANSWERS


def test_unknown_events_and_empty_lines_are_passed_over() -> None:
    lines = [b"", b"  ", line(type="stream_event", event={}), line(type="system", subtype="new"), line(no="type")]
    assert feed(QwenReader(TASK), lines) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["subtype", "message", "session_id", "usage", "content", "is_error", "error", "permission_denials", "model"]
)


@given(
    kind=st.sampled_from(["assistant", "user", "system", "result", "stream_event"]),
    subtype=st.sampled_from(["init", "retry", "success", "x"]),
    record=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=4), max_size=6),
)
def test_no_shape_of_an_event_raises(kind: str, subtype: str, record: dict[str, Any]) -> None:
    reader = QwenReader(TASK)
    list(reader.feed(json.dumps({"subtype": subtype, **record, "type": kind}).encode()))
    assert reader.finish(exit_code=1, stderr="", stopped=False).outcome != "ok"


@given(junk=st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise(junk: list[bytes]) -> None:
    reader = QwenReader(TASK)
    feed(reader, junk)
    assert reader.finish(exit_code=0, stderr="", stopped=False).outcome == "agent_error"


@given(scenario=st.sampled_from(SCENARIOS), cut=st.integers(min_value=0, max_value=20_000))
def test_a_stream_may_break_off_anywhere(scenario: str, cut: int) -> None:
    data = b"\n".join(lines_of(scenario))[:cut]
    reader = QwenReader(TASK)
    feed(reader, data.splitlines())
    ending = reader.finish(exit_code=None, stderr="", stopped=False)
    assert ending.outcome in ("agent_error", "quota")
