"""Tests of all stream readers with recorded streams. Tests of one CLI are in its own module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Ending, Note, SessionRef, Started, Text, ToolResult, Turn, UsageSeen
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings import ALL, RECORDED
from tests.agents.stream_kit import JSON, PATHS, STREAMS, TASK, End, Recorded, Resumed, feed, line

each_cli = pytest.mark.parametrize("recorded", ALL, ids=[recorded.cli for recorded in ALL])
each_recorded_cli = pytest.mark.parametrize("recorded", RECORDED, ids=[recorded.cli for recorded in RECORDED])


def test_every_folder_of_recordings_is_read() -> None:
    assert {folder.name for folder in STREAMS.iterdir()} == {recorded.cli for recorded in ALL}


def all_scenarios(outcome: str | None = None) -> pytest.MarkDecorator:
    """Parametrise over the scenarios that succeed (`ok`), that fail (`bad`) or, without an outcome, over all."""
    found = [
        pytest.param(recorded, scenario, id=f"{recorded.cli}-{scenario}")
        for recorded in ALL
        for scenario, end in recorded.ends.items()
        if outcome is None or (end.outcome == "ok") == (outcome == "ok")
    ]
    return pytest.mark.parametrize(("recorded", "scenario"), found)


any_scenario = st.sampled_from([(recorded, scenario) for recorded in ALL for scenario in recorded.ends])

# With two results, a run without the second looks like a complete one.
SEVERAL_RESULTS = {("claude", "subagent")}


def end_of(recorded: Recorded, ending: Ending) -> End:
    """Return an ending as the table writes it, with a rounded cost."""
    usage, tokens = ending.usage, ending.usage.tokens
    counters = [tokens.input, tokens.cache_read, tokens.cache_write, tokens.output, tokens.reasoning]
    while counters and not counters[-1]:
        counters.pop()
    usual = recorded.by if usage.cost_usd is not None else "unknown"
    return End(
        outcome=ending.outcome,
        reason=ending.reason,
        turns=usage.turns,
        calls=usage.tool_calls,
        tokens=tuple(counters),
        context=usage.context_tokens,
        usd=None if usage.cost_usd is None else round(usage.cost_usd, 9),
        by=None if usage.provenance == usual else usage.provenance,
        limit=ending.limit,
        notes=ending.notes,
    )


# -- the report of a run -------------------------------------------------------------------------------------------


@each_cli
def test_every_recorded_stream_is_in_the_table(recorded: Recorded) -> None:
    assert sorted(recorded.ends) == recorded.scenarios


@all_scenarios()
def test_outcome_message_turns_tokens_and_cost_match_the_table(recorded: Recorded, scenario: str) -> None:
    _, ending = recorded.play(scenario)
    assert end_of(recorded, ending) == recorded.ends[scenario]


@all_scenarios()
def test_turns_are_numbered_and_the_usage_so_far_never_shrinks(recorded: Recorded, scenario: str) -> None:
    events, ending = recorded.play(scenario)
    numbers = [event.number for event in events if isinstance(event, Turn)]
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    assert numbers == list(range(1, ending.usage.turns + 1))
    assert [usage.turns for usage in live] == sorted(usage.turns for usage in live)
    assert [usage.tool_calls for usage in live] == sorted(usage.tool_calls for usage in live)
    assert sum(isinstance(event, Started) for event in events) <= 1


@each_cli
def test_events_of_a_plain_run_come_in_order(recorded: Recorded) -> None:
    events, ending = recorded.play("basic")
    assert tuple(event for event in events if not isinstance(event, UsageSeen)) == recorded.events
    assert ending.message == recorded.message


@each_recorded_cli
def test_live_usage_never_shrinks_and_is_above_zero_before_the_result(recorded: Recorded) -> None:
    events, ending = recorded.play("basic")
    live = [event.usage for event in events if isinstance(event, UsageSeen)]
    totals = [usage.tokens.total for usage in live[:-1]]
    costs = [usage.cost_usd or 0.0 for usage in live[:-1]]
    assert totals == sorted(totals)
    assert totals[0] > 0
    assert costs == sorted(costs)
    assert live[-1] == ending.usage


@each_recorded_cli
def test_a_failing_command_is_an_error_of_the_tool_and_not_of_the_run(recorded: Recorded) -> None:
    events, ending = recorded.play("failing-command")
    # Gemini reports a shell command as a success whatever its exit code.
    assert (ToolResult(is_error=True) in events) == (recorded.cli != "gemini")
    assert ending.outcome == "ok"


# -- sessions and money --------------------------------------------------------------------------------------------

all_resumed = pytest.mark.parametrize(
    ("recorded", "resumed"),
    [
        pytest.param(recorded, resumed, id=f"{recorded.cli}-{resumed.second}")
        for recorded in ALL
        for resumed in recorded.resumed
    ],
)


@all_resumed
def test_a_resumed_or_forked_run_costs_only_its_own_part(recorded: Recorded, resumed: Resumed) -> None:
    _, first = recorded.play(resumed.first)
    _, ending = recorded.play(resumed.second, session=first.session)
    assert ending.usage.tokens == Tokens(*resumed.tokens)
    assert ending.usage.cost_usd == (None if resumed.usd is None else pytest.approx(resumed.usd))
    assert ending.session is not None
    assert ending.session.tokens == Tokens(*resumed.session_tokens)


@all_resumed
def test_a_resume_keeps_the_session_and_a_fork_creates_another(recorded: Recorded, resumed: Resumed) -> None:
    _, first = recorded.play(resumed.first)
    _, second = recorded.play(resumed.second, session=first.session)
    assert first.session is not None
    assert second.session is not None
    assert (second.session.cli, second.session.slot) == (recorded.cli, "/slot")
    assert (first.session.id == second.session.id) == resumed.same_id


TELL_THE_CONTEXT = {"claude", "copilot", "opencode", "qwen"}


@each_recorded_cli
def test_the_context_is_the_input_of_the_longest_answer_with_cached_tokens(recorded: Recorded) -> None:
    _, ending = recorded.play("basic")
    assert ending.usage.context_tokens == (1920 if recorded.cli in TELL_THE_CONTEXT else 0)


@all_resumed
def test_nothing_is_subtracted_from_the_context_of_a_resumed_run(recorded: Recorded, resumed: Resumed) -> None:
    _, first = recorded.play(resumed.first)
    _, alone = recorded.play(resumed.second)
    _, ending = recorded.play(resumed.second, session=first.session)
    assert ending.usage.context_tokens == alone.usage.context_tokens
    assert ending.usage.context_tokens == (1810 if recorded.cli in TELL_THE_CONTEXT else 0)


@each_recorded_cli
def test_tokens_and_cached_tokens_add_up_to_the_total_of_the_cli(recorded: Recorded) -> None:
    _, ending = recorded.play("basic")
    assert ending.usage.tokens.total == recorded.total
    assert ending.usage.tokens.cache_read == 500 + 510 + 520


# Excluded: the CLI guessed the price, two models worked, or another model worked.
OTHER_RATES = {
    ("claude", "unknown-model"),
    ("copilot", "apply-patch"),
    ("copilot", "no-tokens"),
    ("gemini", "x-auto-model"),
    ("qwen", "diff-step"),
    ("qwen", "read-only-step"),
}


@all_scenarios()
def test_the_cost_is_the_sum_of_tokens_times_rate(recorded: Recorded, scenario: str) -> None:
    _, ending = recorded.play(scenario)
    tokens, usd = ending.usage.tokens, ending.usage.cost_usd
    counted = (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output + tokens.reasoning)
    priced = sum(count * rate for count, rate in zip(counted, recorded.rates, strict=True)) / 1e6
    if (recorded.cli, scenario) in OTHER_RATES:
        assert usd != pytest.approx(priced)
    else:
        assert usd is None or usd == pytest.approx(priced)


@each_recorded_cli
def test_a_total_below_the_earlier_total_counts_from_zero(recorded: Recorded) -> None:
    earlier = SessionRef("x", recorded.cli, "/slot", cost_usd=1.0, tokens=Tokens(input=999_999))
    _, ending = recorded.play("basic", session=earlier)
    assert end_of(recorded, ending) == recorded.ends["basic"]


@each_recorded_cli
def test_a_run_that_never_started_has_no_session(recorded: Recorded) -> None:
    _, ending = recorded.play("resume-unknown", session=SessionRef("1111", recorded.cli, "/slot", cost_usd=0.5))
    assert ending.session is None


# -- the ending ----------------------------------------------------------------------------------------------------

WAYS = ("no final event", "not logged in", "unknown model", "stream cut", "out of quota")
# Ten retries by the CLI are enough: it then repeats the request without streaming.
RECOVERS = {("claude", "stream cut")}


@pytest.mark.parametrize("way", WAYS)
@each_recorded_cli
def test_every_kind_of_failure_is_recorded_and_reported(recorded: Recorded, way: str) -> None:
    end = recorded.ends[recorded.shows[way]]
    if (recorded.cli, way) in RECOVERS:
        assert end.outcome == "ok"
    else:
        assert end.outcome == ("quota" if way == "out of quota" else "agent_error")
        assert end.reason


@all_scenarios("bad")
def test_exit_code_0_does_not_turn_a_failure_into_a_success(recorded: Recorded, scenario: str) -> None:
    assert recorded.end(recorded.lines(scenario), exit_code=0).outcome != "ok"


@all_scenarios("ok")
@pytest.mark.parametrize(("exit_code", "words"), [(1, "exit code 1 after "), (-9, "ended by signal 9 after ")])
def test_a_success_with_a_nonzero_exit_code_is_an_error(
    recorded: Recorded, scenario: str, exit_code: int, words: str
) -> None:
    ending = recorded.end(recorded.lines(scenario), exit_code=exit_code)
    assert ending.outcome == "agent_error"
    assert ending.reason.startswith(words)


@all_scenarios("ok")
def test_a_run_without_its_last_line_is_an_error(recorded: Recorded, scenario: str) -> None:
    ending = recorded.end(recorded.lines(scenario)[:-1], exit_code=0)
    assert ending.outcome == ("ok" if (recorded.cli, scenario) in SEVERAL_RESULTS else "agent_error")


@each_cli
def test_the_reason_of_a_contradiction_quotes_the_end_of_stderr(recorded: Recorded) -> None:
    lines = recorded.lines("basic")
    assert recorded.end(lines[:-1]).reason == recorded.unfinished
    assert recorded.end(lines, exit_code=1, stderr="\x1b[91mboom\x1b[0m\n").reason == recorded.bad_exit


@all_scenarios()
def test_a_stopped_run_is_not_checked_further(recorded: Recorded, scenario: str) -> None:
    _, ending = recorded.play(scenario, stopped=True)
    assert (ending.outcome, ending.reason) == ("agent_error", "stopped before it finished")
    assert ending.limit is None


# -- broken streams ------------------------------------------------------------------------------------------------

JUNK = [b"not json", b'{"type": "assist', b"\0\0\0", b"[1, 2]", b'"text"', b"\xff\xfe", b"[" * 100_000, b"NaN"]


@each_cli
@pytest.mark.parametrize("junk", JUNK)
def test_a_line_without_an_object_is_one_note_and_the_rest_is_read(recorded: Recorded, junk: bytes) -> None:
    reader = recorded.reader(TASK)
    events = feed(reader, [junk, junk, *recorded.lines("basic")])
    ending = reader.finish(exit_code=0, stderr="", stopped=False)
    note = "a line of the stream is not a JSON object"
    assert [event for event in events if isinstance(event, Note)] == [Note(note)]
    assert ending.notes == (note,)
    assert (ending.outcome, ending.usage.tokens) == ("ok", recorded.ends["basic"].counted)


@each_cli
def test_unknown_events_and_empty_lines_are_ignored(recorded: Recorded) -> None:
    unknown = [b"", b"  ", b"{}", line(type="brand_new", x=1), line(no="type"), line(type=5), line(type=[])]
    reader = recorded.reader(TASK)
    assert feed(reader, [*unknown, *recorded.meaningless]) == []
    feed(reader, recorded.lines("basic")[:1])
    compact = [text.replace(b'": ', b'":') for text in recorded.meaningless]
    assert feed(reader, [*unknown, *recorded.meaningless, *compact]) == []


@each_cli
def test_a_line_of_ten_megabytes_is_read(recorded: Recorded) -> None:
    assert recorded.large is not None
    small, large = (feed(recorded.reader(TASK), [recorded.large("x" * size)]) for size in (10, 10_000_000))
    assert [type(event) for event in large] == [type(event) for event in small]
    assert any(isinstance(event, Text | ToolResult) for event in large)


@each_cli
@given(lines=st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_bytes_do_not_raise(recorded: Recorded, lines: list[bytes]) -> None:
    assert recorded.end(lines).outcome == "agent_error"


@given(which=any_scenario, number=st.integers(0, 50), path=PATHS, replacement=JSON)
def test_changed_recorded_lines_do_not_break_a_reader(
    which: tuple[Recorded, str], number: int, path: list[int], replacement: Any
) -> None:
    recorded, scenario = which
    check(recorded.end(recorded.mutated(scenario, number, path, replacement)))


@given(which=any_scenario, key=st.integers(0, 40), value=JSON)
def test_known_keys_with_wrong_values_do_not_break_a_reader(which: tuple[Recorded, str], key: int, value: Any) -> None:
    recorded, scenario = which
    records = [json.loads(text) for text in recorded.lines(scenario)]
    keys = sorted({name for record in records for name in record}) or ["type"]
    check(recorded.end(line(**{**record, keys[key % len(keys)]: value}) for record in records))


def check(ending: Ending) -> None:
    assert ending.outcome in {"ok", "agent_error", "quota"}
    assert (ending.usage.cost_usd is None) == (ending.usage.provenance == "unknown")
    assert ending.usage.cost_usd is None or ending.usage.cost_usd >= 0
    ending.reason.encode()


@given(which=any_scenario, cut=st.floats(0, 1))
def test_a_truncated_stream_is_never_a_success(which: tuple[Recorded, str], cut: float) -> None:
    recorded, scenario = which
    whole = recorded.content(scenario)
    last_line = max(0, whole.rstrip(b"\n").rfind(b"\n"))
    ending = recorded.end(whole[: int(cut * last_line)].split(b"\n"), exit_code=0)
    assert ending.outcome != "ok" or (recorded.cli, scenario) in SEVERAL_RESULTS
