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
from pytest_gump.agents.claude_stream import ClaudeReader

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAMS = Path(__file__).parent / "streams" / "claude"
SCENARIOS = sorted(folder.name for folder in STREAMS.iterdir())
TASK = Task(step="impl", item=None, attempt=1, agent="claude", prompt="", worktree=Path("/slot"), mode="diff")
THREE_ANSWERS = Tokens(input=3300, cache_read=1530, cache_write=600, output=153)
TWO_ANSWERS = Tokens(input=2100, cache_read=1010, cache_write=400, output=101)


def lines_of(scenario: str) -> list[bytes]:
    return (STREAMS / scenario / "stream.ndjson").read_bytes().splitlines()


def feed(reader: ClaudeReader, lines: Iterable[bytes]) -> list[Event]:
    return [event for line in lines for event in reader.feed(line)]


def play(scenario: str, *, session: SessionRef | None = None, stopped: bool = False) -> tuple[list[Event], Ending]:
    reader = ClaudeReader(dataclasses.replace(TASK, session=session))
    events = feed(reader, lines_of(scenario))
    errors = STREAMS / scenario / "stderr.txt"
    exit_code = json.loads((STREAMS / scenario / "exit.json").read_bytes())["exit_code"]
    stderr = errors.read_text() if errors.exists() else ""
    return events, reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def end(lines: Iterable[bytes], *, exit_code: int | None = 0, stderr: str = "", stopped: bool = False) -> Ending:
    reader = ClaudeReader(TASK)
    feed(reader, lines)
    return reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def line(**record: Any) -> bytes:
    return json.dumps(record).encode()


def result_line(**changes: Any) -> bytes:
    return line(**{"type": "result", "subtype": "success", "is_error": False, "result": "done", **changes})


# -- events --------------------------------------------------------------------------------------------------------


def test_events_of_a_plain_run_come_in_order() -> None:
    events, _ = play("basic")
    told = [event for event in events if not isinstance(event, UsageSeen)]
    assert told == [
        Started("fd49718e-f6c6-4448-a371-a73754ad7bc0", "claude-sonnet-4-5"),
        Turn(1),
        Text("I will write the file."),
        ToolCall("Write", path="/sandbox/repo/claude/basic/hello.py"),
        ToolResult(),
        Turn(2),
        Text("Now run it."),
        ToolCall("Bash", command="python3 hello.py > out.txt; cat out.txt"),
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
        ("budget", 4, 4),
        ("subagent", 3, 2),
        ("partial", 3, 2),
        ("think", 1, 0),
        ("stream-cut", 1, 0),
        ("api-500", 0, 0),
    ],
)
def test_turns_are_answers_of_the_model_on_the_main_thread(scenario: str, turns: int, tool_calls: int) -> None:
    events, ending = play(scenario)
    assert (ending.usage.turns, ending.usage.tool_calls) == (turns, tool_calls)
    assert [event.number for event in events if isinstance(event, Turn)] == list(range(1, turns + 1))


def test_a_subagents_tool_calls_are_seen() -> None:
    events, _ = play("subagent")
    assert ToolCall("Bash", command="echo sub > sub.txt") in events


def test_a_second_init_is_no_second_start() -> None:
    events, _ = play("subagent")
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
def test_tool_calls_name_what_they_write_or_run(tool: str, arguments: dict[str, Any], call: ToolCall) -> None:
    block = {"type": "tool_use", "id": "t", "name": tool, "input": arguments}
    message = {"id": "m", "model": "claude-sonnet-4-5", "content": [block]}
    assert call in feed(ClaudeReader(TASK), [line(type="assistant", message=message)])


def test_a_failing_command_is_an_error_of_the_tool_and_not_of_the_run() -> None:
    events, ending = play("failing-command")
    assert ToolResult(is_error=True) in events
    assert ending.outcome == "ok"


@pytest.mark.parametrize("text", ["plain " * 600, 'says "is_error":true and {"type":"tool_result"} ' * 80, "\\" * 4000])
@pytest.mark.parametrize("is_error", [True, False])
def test_a_long_answer_of_a_tool_is_read_like_a_short_one(text: str, is_error: bool) -> None:
    block = {"type": "tool_result", "content": [{"type": "text", "text": text}], "is_error": is_error}
    record = {"type": "user", "message": {"role": "user", "content": [block, {**block, "content": "short"}]}}
    compact = json.dumps(record, separators=(",", ":")).encode()
    parsed = json.dumps(record).encode()  # with spaces, as no CLI prints it: read in full
    assert feed(ClaudeReader(TASK), [compact]) == feed(ClaudeReader(TASK), [parsed]) == [ToolResult(is_error)] * 2


def test_half_a_line_is_told_however_long_it_is() -> None:
    half = json.dumps({"type": "user", "message": {"content": "x" * 5000}}, separators=(",", ":")).encode()[:-9]
    assert feed(ClaudeReader(TASK), [half]) == [Note("a line of the stream is not a JSON object")]


def test_answers_of_a_long_run_are_counted_without_being_kept() -> None:
    reader = ClaudeReader(TASK)
    answers = [line(type="assistant", message={"id": f"msg_{number}", "content": []}) for number in range(3000)]
    assert [event.number for event in feed(reader, answers) if isinstance(event, Turn)] == list(range(1, 3001))
    assert len(reader._answers) == 1000


def test_api_retries_are_notes() -> None:
    events, ending = play("api-429-once")
    assert Note("API retry 1: rate_limit, 429") in events
    assert ending.notes == ("1 API retry",)
    assert ending.outcome == "ok"


def test_refused_tools_are_notes_even_though_the_run_says_success() -> None:
    events, ending = play("acceptedits-outside")
    assert ending.outcome == "ok"
    assert ending.notes == ("permission denied: Write: /sandbox/home/claude/outside2.txt",)
    assert Note("permission denied: Write: Path is outside allowed working directories") in events


# -- money and tokens ----------------------------------------------------------------------------------------------


def test_cost_and_tokens_are_what_the_cli_reports() -> None:
    _, ending = play("basic")
    assert ending.usage.cost_usd == pytest.approx(0.014904)
    assert ending.usage.provenance == "reported"
    assert ending.usage.tokens == THREE_ANSWERS


def test_a_session_carries_the_running_totals() -> None:
    _, ending = play("resume-1")
    assert ending.session is not None
    assert ending.session.cli == "claude"
    assert ending.session.slot == "/slot"
    assert ending.session.cost_usd == pytest.approx(0.014904)
    assert ending.session.tokens == THREE_ANSWERS


@pytest.mark.parametrize("scenario", ["resume", "fork"])
def test_a_resumed_run_is_charged_for_its_own_part(scenario: str) -> None:
    _, first = play("resume-1")
    _, ending = play(scenario, session=first.session)
    assert ending.usage.cost_usd == pytest.approx(0.009618)
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.session is not None
    assert ending.session.cost_usd == pytest.approx(0.024522)
    assert ending.session.tokens == THREE_ANSWERS + TWO_ANSWERS


def test_a_fork_has_an_id_of_its_own() -> None:
    _, first = play("resume-1")
    _, resumed = play("resume", session=first.session)
    _, forked = play("fork", session=first.session)
    assert first.session is not None
    assert resumed.session is not None
    assert forked.session is not None
    assert resumed.session.id == first.session.id
    assert forked.session.id != first.session.id


def test_a_resumed_run_with_an_unknown_earlier_total_is_estimated() -> None:
    _, ending = play("resume", session=SessionRef("6f286cde", "claude", "/slot"))
    assert ending.usage.tokens == TWO_ANSWERS
    assert ending.usage.provenance == "estimated"
    assert ending.usage.cost_usd == pytest.approx(0.009618)


def test_a_total_below_the_earlier_one_began_anew() -> None:
    _, ending = play("basic", session=SessionRef("x", "claude", "/slot", cost_usd=1.0, tokens=Tokens(input=999_999)))
    assert ending.usage.cost_usd == pytest.approx(0.014904)
    assert ending.usage.tokens == THREE_ANSWERS


def test_a_run_that_its_budget_stopped_counts_the_last_answer() -> None:
    _, ending = play("budget")
    assert ending.usage.cost_usd == pytest.approx(0.020508)
    assert ending.usage.tokens == Tokens(input=4600, cache_read=2060, cache_write=800, output=206)


def test_a_resumed_run_that_its_budget_stopped_is_charged_for_its_own_part() -> None:
    before = SessionRef("2168017a", "claude", "/slot", cost_usd=0.014904, tokens=THREE_ANSWERS)
    _, ending = play("budget-resume", session=before)
    assert ending.usage.cost_usd == pytest.approx(0.020508)
    assert ending.usage.tokens.output == 206
    assert ending.limit == "max_budget"


def test_the_last_of_two_results_counts_and_holds_the_subagents() -> None:
    _, ending = play("subagent")
    assert ending.usage.cost_usd == pytest.approx(0.024522)
    assert ending.usage.tokens == Tokens(input=5400, cache_read=2540, cache_write=1000, output=254)
    assert ending.message == "(script over)"


def test_the_price_of_an_unknown_model_is_called_a_guess() -> None:
    _, ending = play("unknown-model")
    assert ending.outcome == "ok"
    assert ending.usage.cost_usd == pytest.approx(0.0061)
    assert ending.usage.provenance == "estimated"
    assert ending.notes == ("the CLI does not know the price of scripted-model: its cost is a guess",)


def test_a_killed_run_is_estimated_from_what_was_seen() -> None:
    _, ending = play("sigterm", stopped=True)
    assert ending.usage.provenance == "estimated"
    assert ending.usage.tokens.input == 1000
    # 1000 in, 500 from the cache, 200 to the cache: $0.0039 without any output; the whole answer was $0.00465.
    assert ending.usage.cost_usd is not None
    assert 0.0039 < ending.usage.cost_usd < 0.0055


def test_a_killed_run_of_an_unpriced_model_costs_an_unknown_amount() -> None:
    _, ending = play("unknown-model")
    lines = [text for text in lines_of("unknown-model") if b'"total_cost_usd"' not in text]
    killed = end(lines, exit_code=143, stopped=True)
    assert ending.usage.cost_usd is not None
    assert killed.usage.cost_usd is None
    assert killed.usage.provenance == "unknown"


def test_live_usage_only_grows_and_is_near_the_reported_cost() -> None:
    events, ending = play("basic")
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    costs = [usage.cost_usd or 0.0 for usage in live]
    assert costs == sorted(costs)
    assert costs[-2] == pytest.approx(ending.usage.cost_usd, rel=0.15)
    assert live[-2].provenance == "estimated"
    assert live[-1].provenance == "reported"


def test_what_comes_after_the_last_result_is_added_as_an_estimate() -> None:
    lines = lines_of("subagent")
    last_answer = next(index for index, text in enumerate(lines) if b"(script over)" in text)
    first_result = next(text for text in lines if b'"result_index":0' in text)
    killed = end([*lines[:last_answer], first_result, lines[last_answer]], exit_code=143, stopped=True)
    assert killed.usage.provenance == "estimated"
    assert killed.usage.cost_usd is not None
    assert killed.usage.cost_usd > 0.024522


# -- the end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "outcome", "reason", "limit"),
    [
        ("basic", "ok", "", None),
        ("stream-cut", "ok", "", None),
        ("turn-limit", "agent_error", "Reached maximum number of turns (2)", "max_turns"),
        ("budget", "agent_error", "Reached maximum budget ($0.02)", "max_budget"),
        ("api-400", "agent_error", "API Error: 400 scripted failure 400", None),
        ("api-401", "agent_error", "Failed to authenticate. API Error: 401 scripted failure 401", None),
        ("api-429", "quota", "API Error: Request rejected (429) · scripted failure 429", None),
        ("no-key", "agent_error", "Not logged in · Please run /login", None),
        (
            "resume-unknown",
            "agent_error",
            "No conversation found with session ID: 11111111-2222-4333-8444-555555555555",
            None,
        ),
        ("sigterm", "agent_error", "ended without a result, exit code 143", None),
        (
            "bypass",
            "agent_error",
            (
                "ended without a result, exit code 1: --dangerously-skip-permissions cannot be used with root/sudo"
                " privileges for security reasons"
            ),
            None,
        ),
    ],
)
def test_the_end_is_told_truthfully(scenario: str, outcome: str, reason: str, limit: str | None) -> None:
    _, ending = play(scenario)
    assert (ending.outcome, ending.reason, ending.limit) == (outcome, reason, limit)


def test_an_interrupted_run_with_exit_code_0_is_no_success() -> None:
    assert json.loads((STREAMS / "sigint" / "exit.json").read_bytes()) == {"exit_code": 0}
    _, ending = play("sigint")
    assert ending.outcome == "agent_error"
    assert ending.usage.cost_usd == pytest.approx(0.00465)


def test_a_server_error_is_told_in_the_clis_words() -> None:
    _, ending = play("api-500")
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith("API Error: 500 scripted failure 500.")
    assert ending.notes == ("10 API retries",)


def test_exit_code_0_without_a_result_is_an_error() -> None:
    ending = end(lines_of("basic")[:-1])
    assert ending.outcome == "agent_error"
    assert ending.reason == "ended without a result, exit code 0"
    assert ending.message == "All done: hello.py written and run."


def test_a_success_with_a_bad_exit_code_is_an_error() -> None:
    ending = end(lines_of("basic"), exit_code=1, stderr="Traceback\nout of memory\n")
    assert ending.outcome == "agent_error"
    assert ending.reason == "exit code 1 after a result that says success: out of memory"


def test_a_success_that_a_signal_ended_is_an_error() -> None:
    assert end(lines_of("basic"), exit_code=-9).reason == "ended by signal 9 after a result that says success"


def test_is_error_is_believed_more_than_the_subtype() -> None:
    assert end([result_line(is_error=True, result="it broke")]).reason == "it broke"
    assert end([result_line(is_error=None)]).outcome == "agent_error"
    assert end([result_line()]).outcome == "ok"


@pytest.mark.parametrize(
    "words",
    [
        "Claude AI usage limit reached|1767225600",
        "You've hit your limit · resets 3pm",
        "Credit balance is too low",
        "5-hour session limit reached",
    ],
)
def test_a_used_up_limit_is_quota_only_when_the_result_is_an_error(words: str) -> None:
    assert end([result_line(is_error=True, result=words)], exit_code=1).outcome == "quota"
    assert end([result_line(result=words)]).outcome == "ok"


def test_an_agent_that_talks_about_rate_limits_is_not_out_of_quota() -> None:
    message = {
        "id": "m",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "usage limit reached (429)"}],
    }
    ending = end([line(type="assistant", message=message), result_line(is_error=True, result="no")], exit_code=1)
    assert ending.outcome == "agent_error"


def test_an_answer_of_the_cli_itself_is_no_turn() -> None:
    events, ending = play("no-key")
    assert ending.usage.turns == 0
    assert ending.usage.cost_usd == 0
    assert not any(isinstance(event, Turn | Text) for event in events)


def test_a_run_that_never_started_has_no_session() -> None:
    _, ending = play("resume-unknown", session=SessionRef("1111", "claude", "/slot", cost_usd=0.5))
    assert ending.session is None


def test_a_killed_run_keeps_the_total_that_was_reported_before() -> None:
    before = SessionRef("old", "claude", "/slot", cost_usd=0.5, tokens=Tokens(input=7))
    _, ending = play("sigterm", session=before, stopped=True)
    assert ending.session is not None
    assert ending.session.cost_usd == 0.5
    assert ending.session.tokens == Tokens(input=7)


# -- broken streams ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [b"not json", b'{"type": "assist', b"\0\0\0", b"[1, 2]", b'"text"', b"\xff\xfe", b"[" * 100_000, b"NaN"],
)
def test_a_line_that_is_no_object_is_noted_once_and_the_rest_is_read(junk: bytes) -> None:
    reader = ClaudeReader(TASK)
    events = feed(reader, [junk, junk, *lines_of("basic")])
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    assert events[0] == Note("a line of the stream is not a JSON object")
    assert sum(isinstance(event, Note) for event in events) == 1
    assert ending.usage.cost_usd == pytest.approx(0.014904)


def test_a_line_of_ten_megabytes_is_read() -> None:
    message = {"id": "m", "model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "x" * 10_000_000}]}
    events = feed(ClaudeReader(TASK), [line(type="assistant", message=message)])
    assert Turn(1) in events


def test_unknown_events_and_empty_lines_are_passed_over() -> None:
    lines = [b"", b"  ", line(type="brand_new", x=1), line(type="system", subtype="new"), line(no="type"), line(type=5)]
    assert feed(ClaudeReader(TASK), lines) == []


@pytest.mark.parametrize("cost", ["1e999", "NaN", "-1", '"0.5"', "true", "null", "1" * 400])
def test_a_cost_that_is_no_amount_is_not_believed(cost: str) -> None:
    raw = f'{{"type": "result", "subtype": "success", "is_error": false, "total_cost_usd": {cost}}}'.encode()
    ending = end([raw])
    assert ending.usage.provenance in {"estimated", "unknown"}
    assert ending.usage.cost_usd in {None, 0.0}


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    raw = rb'{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"a\ud800b"}]}}'
    events = feed(ClaudeReader(TASK), [raw])
    assert Text("a?b") in events


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_feed_never_raises_on_any_bytes(lines: list[bytes]) -> None:
    assert end(lines).outcome == "agent_error"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["type", "subtype", "message", "content", "usage", "modelUsage", "total_cost_usd", "session_id", "model", "id"]
KEYS += ["errors", "result", "permission_denials", "parent_tool_use_id", "name", "input", "is_error", "num_turns"]


def mutate(value: Any, path: list[int], replacement: Any) -> Any:
    """Put something else at a place of a JSON document."""
    if not path or not isinstance(value, dict | list) or not value:
        return replacement
    if isinstance(value, dict):
        key = sorted(value)[path[0] % len(value)]
        return {**value, key: mutate(value[key], path[1:], replacement)}
    position = path[0] % len(value)
    return [*value[:position], mutate(value[position], path[1:], replacement), *value[position + 1 :]]


@given(
    scenario=st.sampled_from(SCENARIOS),
    which=st.integers(0, 50),
    path=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    replacement=JSON,
)
def test_no_change_of_a_recorded_line_breaks_the_reader(
    scenario: str, which: int, path: list[int], replacement: Any
) -> None:
    lines = lines_of(scenario)
    if lines:
        position = which % len(lines)
        lines[position] = json.dumps(mutate(json.loads(lines[position]), path, replacement)).encode()
    ending = end(lines)
    assert (ending.usage.cost_usd is None) == (ending.usage.provenance == "unknown")
    assert ending.usage.cost_usd is None or ending.usage.cost_usd >= 0


@given(scenario=st.sampled_from(SCENARIOS), key=st.sampled_from(KEYS), value=JSON)
def test_a_line_of_known_keys_with_wrong_values_breaks_nothing(scenario: str, key: str, value: Any) -> None:
    lines = lines_of(scenario)
    broken = [json.dumps({**json.loads(text), key: value}).encode() for text in lines]
    assert end(broken).usage.turns >= 0


@given(scenario=st.sampled_from(SCENARIOS), cut=st.integers(0, 20_000))
def test_a_stream_that_is_cut_anywhere_is_never_a_success(scenario: str, cut: int) -> None:
    whole = (STREAMS / scenario / "stream.ndjson").read_bytes()
    last_line = whole.rstrip(b"\n").rfind(b"\n")
    ending = end(whole[: min(cut, max(0, last_line))].split(b"\n"), exit_code=0)
    assert ending.outcome in {"agent_error", "quota"} or scenario == "subagent"
