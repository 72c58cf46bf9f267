"""Streams of which the CLI reports no tokens, or too few: their cost is estimated from the text, or unknown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents.base import UsageSeen
from pytest_gump.agents.streams.conversation_reader import ESTIMATED

from tests.agents.recordings import RECORDED
from tests.agents.recordings.claude import CLAUDE
from tests.agents.recordings.opencode import OPENCODE
from tests.agents.recordings.qwen import QWEN
from tests.agents.stream_kit import TASK, feed

if TYPE_CHECKING:
    from tests.agents.stream_kit import Recorded

each_cli = pytest.mark.parametrize("recorded", RECORDED, ids=[recorded.cli for recorded in RECORDED])

COUNTS = ("token", "cost", "input", "output", "cached", "read", "write", "reasoning", "total", "thinking")
REPORTS = ("usage", "stats", "modelUsage", "total_cost_usd", "tokens", "cost")


def uncounted(value: Any) -> Any:
    """The same document with 0 for every number of tokens or dollars."""
    if isinstance(value, list):
        return [uncounted(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: 0 if is_count(key, part) else uncounted(part) for key, part in value.items()}


def is_count(key: str, value: Any) -> bool:
    return type(value) in (int, float) and any(word in key.lower() for word in COUNTS)


def unreported(value: Any) -> Any:
    """The same document without reports of usage."""
    if isinstance(value, list):
        return [unreported(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {key: unreported(part) for key, part in value.items() if key not in REPORTS}


@each_cli
@pytest.mark.parametrize("change", [uncounted, unreported])
def test_answers_without_tokens_do_not_cost_nothing(recorded: Recorded, change: Any) -> None:
    lines = [json.dumps(change(json.loads(line))).encode() for line in recorded.lines("basic")]
    ending = recorded.end(lines)
    usage = ending.usage
    assert ending.outcome == "ok"
    assert usage.provenance in {"estimated", "unknown"}
    assert usage.cost_usd is None or usage.cost_usd > 0
    assert usage.tokens.suffice(usage.turns)


SECOND_ANSWER = {"claude": (4, 5), "opencode": (7,), "qwen": (6,)}
"""Lines of `basic` with the tokens of the second of three answers, for the CLIs that report them for each answer."""


@pytest.mark.parametrize("recorded", [CLAUDE, OPENCODE, QWEN], ids=[*SECOND_ANSWER])
def test_a_single_answer_without_tokens_is_estimated(recorded: Recorded) -> None:
    records = [json.loads(line) for line in recorded.lines("basic")]
    for number in SECOND_ANSWER[recorded.cli]:
        records[number] = uncounted(records[number])
    if recorded is QWEN:
        records[-1]["usage"] = {"input_tokens": 3620, "output_tokens": 102, "cache_read_input_tokens": 1020}
    ending = recorded.end(json.dumps(record).encode() for record in records)
    assert ESTIMATED in ending.notes
    assert ending.usage.provenance in {"estimated", "unknown"}
    assert ending.usage.tokens.read > 10_000


@each_cli
def test_the_estimate_grows_while_the_cli_runs(recorded: Recorded) -> None:
    lines = [json.dumps(uncounted(json.loads(line))).encode() for line in recorded.lines("basic")]
    live = [event.usage.tokens.total for event in feed(recorded.reader(TASK), lines) if isinstance(event, UsageSeen)]
    assert live == sorted(live)
    assert 0 < live[0] < live[-1]


@each_cli
def test_a_note_says_that_the_tokens_are_estimated(recorded: Recorded) -> None:
    lines = [json.dumps(uncounted(json.loads(line))).encode() for line in recorded.lines("basic")]
    assert ESTIMATED in recorded.end(lines).notes
    _, counted = recorded.play("basic")
    assert ESTIMATED not in counted.notes
