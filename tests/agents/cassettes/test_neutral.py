from __future__ import annotations

import json
import time
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
    ToolCall,
    ToolResult,
    Turn,
    UsageSeen,
)
from pytest_gump.agents.cassettes.neutral import NeutralReader, conversation, usage_event
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TASK = Task(step="impl", item=None, attempt=1, agent="any", prompt="", worktree=Path("/slot"), mode="diff")


def play(
    records: Iterable[Mapping[str, Any] | bytes],
    *,
    exit_code: int | None = 0,
    stderr: str = "",
    stopped: bool = False,
    cli: str = "replay",
) -> tuple[list[Event], Ending]:
    reader = NeutralReader(TASK, cli=cli)
    lines = (record if isinstance(record, bytes) else json.dumps(record).encode() for record in records)
    events = [event for line in lines for event in reader.feed(line)]
    return events, reader.finish(exit_code=exit_code, stderr=stderr, stopped=stopped)


def test_a_conversation_is_read_as_a_whole_attempt() -> None:
    tokens = Tokens(input=900, output=120)
    events, ending = play(
        conversation(
            "Wrote it.", model="m", session_id="s", writes=["a.py"], commands=["pytest"], tokens=tokens, cost_usd=0.06
        )
    )
    assert events == [
        Started("s", "m"),
        Turn(1),
        ToolCall("Write", path="a.py"),
        ToolResult(),
        Turn(2),
        ToolCall("Bash", command="pytest"),
        ToolResult(),
        Turn(3),
        Text("Wrote it."),
        UsageSeen(Usage(tokens, 0.06, "reported", turns=3, tool_calls=2)),
    ]
    assert ending == Ending(
        outcome="ok",
        reason="",
        message="Wrote it.",
        usage=Usage(tokens, 0.06, "reported", turns=3, tool_calls=2),
        session=SessionRef("s", "replay", "/slot"),
        model="m",
    )


@pytest.mark.parametrize("turns", [1, 3, 11])
def test_a_conversation_has_the_requested_number_of_turns(turns: int) -> None:
    _, ending = play(conversation(writes=["a", "b"], turns=turns))
    assert ending.usage.turns == turns
    assert ending.usage.tool_calls == 2


def test_the_session_belongs_to_the_family_of_the_replayed_agent() -> None:
    _, ending = play(conversation(session_id="s"), cli="claude")
    assert ending.session == SessionRef("s", "claude", "/slot")


def test_a_missing_cost_is_estimated_from_the_model() -> None:
    tokens = Tokens(input=3300, cache_read=1530, cache_write=600, output=153)
    _, ending = play(conversation(model="claude-sonnet-4-5", tokens=tokens))
    assert ending.usage.cost_usd == pytest.approx(0.014904)
    assert ending.usage.provenance == "estimated"


def test_the_cost_of_an_unpriced_model_is_unknown() -> None:
    _, ending = play(conversation(tokens=Tokens(input=5)))
    assert (ending.usage.cost_usd, ending.usage.provenance) == (None, "unknown")


@pytest.mark.parametrize(("outcome", "reason"), [("quota", "limit reached"), ("agent_error", "gave up")])
def test_a_result_can_report_a_failure(outcome: Any, reason: str) -> None:
    _, ending = play(conversation(outcome=outcome, reason=reason))
    assert (ending.outcome, ending.reason) == (outcome, reason)


def test_a_quota_result_can_name_the_reset_time() -> None:
    now = time.time()
    _, ending = play([{"type": "result", "outcome": "quota", "reason": "limit reached", "resets_at": now + 90}])
    assert ending.resets_at == now + 90
    _, in_words = play(conversation(outcome="quota", reason="limit reached, try again in 5m"))
    assert in_words.resets_at == pytest.approx(now + 300, abs=60)
    _, failed = play([{"type": "result", "outcome": "agent_error", "reason": "no", "resets_at": now + 90}])
    assert failed.resets_at is None


@pytest.mark.parametrize(
    ("records", "exit_code", "stopped", "reason"),
    [
        ([], 0, False, "exit code 0 without a result"),
        ([], -15, False, "ended by signal 15 without a result"),
        ([], None, False, "ended by a signal without a result"),
        (conversation(), 2, False, "exit code 2 after a successful result"),
        (conversation(), 0, True, "stopped before it finished"),
        ([{"type": "result", "outcome": "strange"}], 0, False, "the agent reports a failure"),
    ],
)
def test_any_other_ending_is_an_error(
    records: list[dict[str, Any]], exit_code: int | None, stopped: bool, reason: str
) -> None:
    _, ending = play(records, exit_code=exit_code, stopped=stopped)
    assert (ending.outcome, ending.reason) == ("agent_error", reason)


def test_the_reason_quotes_the_end_of_stderr() -> None:
    _, ending = play([], exit_code=1, stderr="one\ntwo\n\n")
    assert ending.reason == "exit code 1 without a result: two"


def test_usage_is_a_total_and_may_include_the_turns() -> None:
    events, ending = play(
        [usage_event(Tokens(input=1)), {**usage_event(Tokens(input=3), cost_usd=1.5), "turns": 11}, {"type": "result"}]
    )
    assert isinstance(events[0], UsageSeen)
    assert ending.usage == Usage(Tokens(input=3), 1.5, "reported", turns=11)


def test_the_largest_reported_context_counts() -> None:
    events_with_context = [
        {**usage_event(Tokens(input=number)), "context_tokens": number * 1000} for number in (90, 150, 20)
    ]
    events, ending = play([*events_with_context, {"type": "result", "usage": usage_event(Tokens(input=30))}])
    assert [event.usage.context_tokens for event in events if isinstance(event, UsageSeen)][:3] == [
        90000,
        150000,
        150000,
    ]
    assert ending.usage.context_tokens == 150_000


def test_notes_are_bounded_and_without_duplicates() -> None:
    notes = [{"type": "note", "text": f"note {number % 50}"} for number in range(200)]
    _, ending = play([*notes, {"type": "result"}])
    assert len(ending.notes) == 21
    assert ending.notes[-1] == "120 more notes left out"


def test_broken_lines_become_notes_and_unknown_lines_are_ignored() -> None:
    events, ending = play([b"{", b"[]", b"", {"type": "new"}, {"type": ["x"]}, {"type": "result"}])
    assert events == [Note("a line of the stream is not a JSON object")]
    assert ending.outcome == "ok"


@given(st.lists(st.binary(max_size=100), max_size=5))
def test_feed_never_raises_on_any_bytes(lines: list[bytes]) -> None:
    _, ending = play(lines)
    assert ending.outcome == "agent_error"


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    ["started", "turn", "text", "tool_call", "tool_result", "usage", "note", "result"]
                )
            },
            optional=dict.fromkeys(("session_id", "text", "tool", "path", "tokens", "cost_usd", "turns"), VALUES),
        )
    )
)
def test_feed_never_raises_on_values_of_the_wrong_type(records: list[dict[str, Any]]) -> None:
    _, ending = play(records)
    assert (ending.usage.cost_usd is None) == (ending.usage.provenance == "unknown")
