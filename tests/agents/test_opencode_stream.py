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
from pytest_gump.agents.opencode_stream import OpencodeReader

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAMS = Path(__file__).parent / "streams" / "opencode"
SCENARIOS = sorted(folder.name for folder in STREAMS.iterdir())
TASK = Task(step="impl", item=None, attempt=1, agent="opencode", prompt="", worktree=Path("/slot"), mode="diff")
THREE_ANSWERS = Tokens(input=3900, cache_read=1530, output=132, reasoning=21)


def lines_of(scenario: str) -> list[bytes]:
    return (STREAMS / scenario / "stream.ndjson").read_bytes().splitlines()


def feed(reader: OpencodeReader, lines: Iterable[bytes]) -> list[Event]:
    return [event for line in lines for event in reader.feed(line)]


def play(scenario: str, *, session: SessionRef | None = None, stopped: bool = False) -> tuple[list[Event], Ending]:
    reader = OpencodeReader(dataclasses.replace(TASK, session=session))
    events = feed(reader, lines_of(scenario))
    errors = STREAMS / scenario / "stderr.txt"
    exit_code = json.loads((STREAMS / scenario / "exit.json").read_bytes())["exit_code"]
    stderr = errors.read_text() if errors.exists() else ""
    return events, reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


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


def test_events_of_a_plain_run_come_in_order() -> None:
    events, ending = play("basic")
    told = [event for event in events if not isinstance(event, UsageSeen)]
    assert told == [
        Started("ses_dfde2684effeko7tgtNQlrAPWx", None),
        Turn(1),
        Text("I will write the file."),
        ToolCall("write", path="/sandbox/repo/opencode/basic/hello.py"),
        ToolResult(),
        Turn(2),
        Text("Now run it."),
        ToolCall("bash", command="python3 hello.py > out.txt; cat out.txt"),
        ToolResult(),
        Turn(3),
        Text("All done: hello.py written and run."),
    ]
    assert ending.message == "All done: hello.py written and run."


@pytest.mark.parametrize(
    ("scenario", "turns", "tool_calls"),
    [
        ("basic", 3, 2),
        ("parallel-calls", 2, 2),
        ("failing-command", 2, 1),
        ("resume", 2, 1),
        ("stream-cut", 1, 0),
        ("think", 1, 0),
        ("api-401", 0, 0),
        ("bad-model", 0, 0),
        ("resume-unknown", 0, 0),
    ],
)
def test_turns_are_answers_of_the_model(scenario: str, turns: int, tool_calls: int) -> None:
    events, ending = play(scenario)
    assert (ending.usage.turns, ending.usage.tool_calls) == (turns, tool_calls)
    assert [event.number for event in events if isinstance(event, Turn)] == list(range(1, turns + 1))


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
def test_tool_calls_name_what_they_wrote_or_ran(tool: str, arguments: dict[str, Any], calls: list[ToolCall]) -> None:
    reader = OpencodeReader(TASK)
    events = feed(reader, [tool_line(tool, arguments)])
    assert events == [Started("ses_1", None), *calls, ToolResult()]
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tool_calls == 1


def test_a_refused_tool_names_no_path_and_is_a_note() -> None:
    events, ending = play("outside-no-auto")
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert calls == [ToolCall("write")]
    assert ToolResult(is_error=True) in events
    assert ending.notes == (
        "permission denied: write: /sandbox/home/opencode/outside2.txt",
        "permission denied: external_directory (/sandbox/home/opencode/*)",
    )


def test_a_step_that_only_reads_writes_its_hand_over_and_nothing_else() -> None:
    events, ending = play("read-only-step")
    paths = [event.path for event in events if isinstance(event, ToolCall)]
    assert (ending.outcome, paths) == ("ok", ["/sandbox/repo/.gump/out/plan.json", None, None])
    assert ending.notes == (
        "permission denied: write: /sandbox/repo/a.txt",
        "permission denied: bash is not offered",
    )


def test_a_step_that_changes_files_stays_in_the_worktree_and_runs_what_is_allowed() -> None:
    events, ending = play("diff-step")
    results = [event.is_error for event in events if isinstance(event, ToolResult)]
    assert (ending.outcome, results) == ("ok", [False, True, False, True])
    assert ending.notes == (
        "permission denied: write: /sandbox/home/out.txt",
        "permission denied: bash: touch sh.txt",
    )


def test_a_tool_that_is_not_offered_is_a_note() -> None:
    events, ending = play("readonly")
    assert ToolCall("write") in events
    assert ToolCall("bash") in events
    assert ending.notes == ("permission denied: write is not offered", "permission denied: bash is not offered")


def test_a_failing_command_is_an_error_of_the_tool_and_not_of_the_run() -> None:
    events, ending = play("failing-command")
    assert ToolResult(is_error=True) in events
    assert ending.outcome == "ok"


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_cost_and_tokens_are_the_sum_of_the_steps() -> None:
    _, ending = play("basic")
    assert ending.usage.tokens == THREE_ANSWERS
    assert ending.usage.cost_usd == pytest.approx(0.0045 + 0.004818 + 0.005136)
    assert ending.usage.provenance == "reported"


@pytest.mark.parametrize("scenario", ["resume", "fork"])
def test_a_resumed_run_is_charged_for_its_own_part(scenario: str) -> None:
    _, first = play("resume-1")
    _, ending = play(scenario, session=first.session)
    assert ending.usage.cost_usd == pytest.approx(0.0045 + 0.004818)
    assert first.session is not None
    assert ending.session is not None
    assert (ending.session.id == first.session.id) == (scenario == "resume")


@pytest.mark.parametrize(
    ("model", "cost_usd", "provenance"),
    [
        ("openai/gpt-5.4", (1000 * 2.5 + 400 * 0.25 + 100 * 15) / 1e6, "estimated"),
        ("scripted/free", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_step_that_costs_nothing_has_a_model_without_a_price(
    model: str | None, cost_usd: float | None, provenance: str
) -> None:
    ending = end(step(input=1000, output=60, reasoning=40, cache={"read": 400, "write": 0}), model=model)
    assert ending.usage.cost_usd == (None if cost_usd is None else pytest.approx(cost_usd))
    assert ending.usage.provenance == provenance


def test_a_recorded_run_of_a_model_without_a_price_costs_an_unknown_amount() -> None:
    _, ending = play("no-price")
    assert (ending.outcome, ending.usage.tokens.total) == ("ok", 1750)
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_one_step_of_unknown_cost_makes_the_sum_unknown() -> None:
    ending = end([*step(cost=0.5, input=10), *step(input=10)])
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


def test_a_killed_run_counts_the_steps_that_were_finished() -> None:
    lines = lines_of("basic")
    ending = end(lines[:6], exit_code=-15, stopped=True)
    assert ending.usage.cost_usd == pytest.approx(0.0045)
    assert ending.usage.turns == 2
    assert ending.notes == ("the last answer was cut off: its tokens are not counted",)


def test_live_usage_comes_with_every_step() -> None:
    events, _ = play("basic")
    costs = [event.usage.cost_usd for event in events if isinstance(event, UsageSeen)]
    assert costs == [pytest.approx(0.0045), pytest.approx(0.009318), pytest.approx(0.014454)]


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason"),
    [
        ("basic", "ok", ""),
        ("api-429-once", "ok", ""),
        (
            "outside-no-auto",
            "agent_error",
            (
                "ended after an answer that ended with 'tool-calls', exit code 0: ! permission requested:"
                " external_directory (/sandbox/home/opencode/*); auto-rejecting"
            ),
        ),
        ("api-400", "agent_error", "APIError 400: scripted failure 400"),
        ("api-401", "agent_error", "APIError 401: scripted failure 401"),
        ("api-429", "quota", "APIError 429: scripted failure 429"),
        ("api-500", "agent_error", "APIError 500: scripted failure 500"),
        ("stream-cut", "agent_error", "APIError: Connection reset by server"),
        (
            "connection-refused",
            "agent_error",
            "APIError: Cannot connect to API: Unable to connect. Is the computer able to access the url?",
        ),
        (
            "bad-model",
            "agent_error",
            "UnknownError: Unexpected server error. Check server logs for details.",
        ),
        (
            "resume-unknown",
            "agent_error",
            "ended without a final answer, exit code 1: Error: Session not found",
        ),
        ("resume-other-cwd", "agent_error", "ended without a final answer, ended by a signal"),
        ("sigterm", "agent_error", "ended without a final answer, ended by signal 15"),
        ("steps", "agent_error", "ended after an answer that ended with 'tool-calls', ended by a signal"),
    ],
)
def test_the_end_is_told_truthfully(scenario: str, outcome: str, reason: str) -> None:
    _, ending = play(scenario)
    assert (ending.outcome, ending.reason) == (outcome, reason)


def test_a_bad_option_is_an_error_with_the_programs_last_words() -> None:
    _, ending = play("bad-option")
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith("ended without a final answer, exit code 1: ")


def test_a_run_that_we_stopped_is_not_judged_further() -> None:
    _, ending = play("basic", stopped=True)
    assert (ending.outcome, ending.reason) == ("agent_error", "stopped before it had finished")


@pytest.mark.parametrize("reason", ["tool-calls", "length", "content-filter", "other"])
def test_only_a_last_answer_that_stopped_is_a_success(reason: str) -> None:
    assert end(step(reason)).outcome == "agent_error"
    assert end([*step(reason), *step("stop")]).outcome == "ok"


def test_a_good_end_with_a_bad_exit_code_is_an_error() -> None:
    ending = end(lines_of("basic"), exit_code=1, stderr="\x1b[91m\x1b[1mError: \x1b[0mout of memory\n")
    assert ending.outcome == "agent_error"
    assert ending.reason == "exit code 1 after an answer that ended well: Error: out of memory"


def test_an_error_event_is_believed_more_than_a_good_end() -> None:
    ending = end([*lines_of("basic"), line("error", error={"name": "APIError", "data": {"message": "no"}})])
    assert (ending.outcome, ending.reason) == ("agent_error", "APIError: no")


@pytest.mark.parametrize(
    "data", [{"statusCode": 429}, {"statusCode": 402}, {"message": "You exceeded your current quota"}]
)
def test_a_used_up_limit_is_quota_only_in_an_error_event(data: dict[str, Any]) -> None:
    assert end([line("error", error={"name": "APIError", "data": data})], exit_code=1).outcome == "quota"
    talk = line("text", part={"type": "text", "text": json.dumps(data)})
    failed = line("error", error={"name": "APIError", "data": {"message": "no"}})
    assert end([talk, failed], exit_code=1).outcome == "agent_error"


def test_a_run_that_never_started_has_no_session() -> None:
    _, ending = play("resume-unknown", session=SessionRef("ses_0", "opencode", "/slot"))
    assert ending.session is None


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("junk", [b"not json", b'{"type": "text', b"\0\0", b"[1, 2]", b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_object_is_noted_once_and_the_rest_is_read(junk: bytes) -> None:
    reader = OpencodeReader(TASK)
    events = feed(reader, [junk, junk, *lines_of("basic")])
    assert events[0] == Note("a line of the stream is not a JSON object")
    assert sum(isinstance(event, Note) for event in events) == 1
    assert reader.finish(exit_code=0, stderr="", stopped=False).usage.tokens == THREE_ANSWERS


def test_unknown_events_and_empty_lines_are_passed_over() -> None:
    reader = OpencodeReader(TASK)
    assert feed(reader, [b"", b"  ", b"{}", b'{"type": "brand_new"}', b'{"type": 5}']) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=8,
)
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
def test_no_shape_of_an_event_raises(kind: str, part: dict[str, Any], error: object) -> None:
    reader = OpencodeReader(TASK)
    list(reader.feed(json.dumps({"type": kind, "part": part, "error": error}).encode()))
    assert reader.finish(exit_code=1, stderr="", stopped=False).outcome != "ok"


@given(junk=st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise(junk: list[bytes]) -> None:
    reader = OpencodeReader(TASK)
    feed(reader, junk)
    assert reader.finish(exit_code=0, stderr="", stopped=False).outcome == "agent_error"


@given(scenario=st.sampled_from(SCENARIOS), cut=st.integers(min_value=0, max_value=20_000))
def test_a_stream_may_break_off_anywhere(scenario: str, cut: int) -> None:
    data = b"\n".join(lines_of(scenario))[:cut]
    reader = OpencodeReader(TASK)
    feed(reader, data.splitlines())
    assert reader.finish(exit_code=None, stderr="", stopped=False).outcome in ("agent_error", "quota")
