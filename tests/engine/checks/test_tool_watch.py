from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Text, ToolCall, ToolResult, Turn
from pytest_gump.engine.checks.tool_watch import ToolWatch
from pytest_gump.order import ToolUse, TurnKinds

from tests.agents.recordings import RECORDED

if TYPE_CHECKING:
    from pytest_gump.agents.base import Event

    from tests.agents.stream_kit import Recorded


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def watch(clock: Clock) -> ToolWatch:
    return ToolWatch(is_handed_over=lambda path: path == ".gump/out/plan.json", clock=clock)


def test_failures_and_repeats_are_counted_and_the_first_write_is_timed() -> None:
    clock = Clock()
    calls = watch(clock)
    shell, write = ToolCall("bash", command="make"), ToolCall("write", path="a.py")
    for event in (Turn(1), shell, ToolResult(is_error=True), Text("again"), shell, ToolResult(), write):
        clock.now += 1
        calls.feed(event)
    calls.feed(write)
    assert calls.use() == ToolUse(
        failed=1, repeated=2, first_write_s=7.0, first_write_turn=1, corrected=1, kinds=TurnKinds(write=1)
    )


def test_write_of_the_output_file_does_not_count() -> None:
    calls = watch(Clock())
    calls.feed(ToolCall("write", path=".gump/out/plan.json"))
    assert calls.use() == ToolUse()


def test_calls_without_path_and_command_are_not_repeats() -> None:
    calls = watch(Clock())
    for _ in range(3):
        calls.feed(ToolCall("search"))
    assert calls.use() == ToolUse()


def played(*events: Event) -> ToolUse:
    calls = watch(Clock())
    for event in events:
        calls.feed(event)
    return calls.use()


MAKE, TEST, READ = ToolCall("bash", command="make"), ToolCall("bash", command="pytest"), ToolCall("read")
GOOD, BAD = ToolResult(), ToolResult(is_error=True)


def test_a_turn_has_the_kind_of_its_strongest_call() -> None:
    use = played(Turn(1), Text("hm"), Turn(2), READ, GOOD, Turn(3), READ, MAKE, GOOD, GOOD, Turn(4), READ)
    assert use.kinds == TurnKinds(command=1, other=2, text=1)
    written = played(Turn(1), MAKE, ToolCall("write", path="a.py"), Turn(2))
    assert (written.kinds, written.first_write_turn) == (TurnKinds(write=1, text=1), 1)


def test_a_write_that_failed_or_was_refused_is_not_the_first() -> None:
    write, other = ToolCall("write", path="a.py"), ToolCall("write", path="b.py")
    assert played(Turn(1), write, BAD, Turn(2), other, GOOD).first_write_turn == 2
    assert played(Turn(1), write, BAD).first_write_s is None
    assert played(Turn(1), write, Turn(2), MAKE, BAD).first_write_turn == 1


def test_a_call_that_fails_and_later_succeeds_is_corrected_once() -> None:
    use = played(Turn(1), MAKE, BAD, Turn(2), TEST, GOOD, Turn(3), MAKE, BAD, Turn(4), MAKE, GOOD, Turn(5), MAKE, GOOD)
    assert (use.failed, use.corrected, use.failure_loops) == (2, 1, 0)


def test_three_failures_in_succession_are_one_loop_and_another_call_ends_it() -> None:
    fails = (Turn(1), MAKE, BAD)
    assert played(*fails * 2).failure_loops == 0
    assert played(*fails * 5).failure_loops == 1
    assert played(*fails * 2, TEST, GOOD, *fails * 2).failure_loops == 0
    assert played(*fails * 3, TEST, BAD, *fails * 3).failure_loops == 2


def test_many_failed_calls_are_a_note() -> None:
    def notes(*events: Event) -> list[str]:
        calls = watch(Clock())
        for event in events:
            calls.feed(event)
        return calls.notes()

    assert notes(*(MAKE, BAD) * 40, *(TEST, GOOD) * 2) == ["40 of 42 tool calls failed"]
    assert notes(*(MAKE, BAD) * 4) == []
    assert notes(*(MAKE, BAD) * 6, *(TEST, GOOD) * 7) == []


def test_results_belong_to_parallel_calls_in_their_order() -> None:
    use = played(Turn(1), MAKE, TEST, BAD, GOOD, Turn(2), MAKE, GOOD, Turn(3), TEST, GOOD)
    assert use.corrected == 1


def test_a_call_without_a_result_does_not_shift_the_results_of_later_turns() -> None:
    use = played(Turn(1), MAKE, TEST, GOOD, Turn(2), MAKE, BAD, Turn(3), MAKE, GOOD)
    assert use.corrected == 1


@pytest.mark.parametrize("recorded", RECORDED, ids=[recorded.cli for recorded in RECORDED])
def test_every_cli_shows_the_kinds_of_its_turns_and_the_first_write(recorded: Recorded) -> None:
    events, _ = recorded.play("basic")
    use = played(*events)
    assert (use.kinds, use.first_write_turn) == (TurnKinds(write=1, command=1, text=1), 1)
    assert (use.failed, use.repeated, use.corrected, use.failure_loops) == (0, 0, 0, 0)


CALLS = st.builds(ToolCall, st.sampled_from("ab"), st.none() | st.just("a.py"), st.none() | st.just("make"))


@given(st.lists(CALLS | st.builds(ToolResult, st.booleans()), max_size=20))
def test_counts_match_the_stream(events: list[ToolCall | ToolResult]) -> None:
    clock = Clock()
    calls = watch(clock)
    for event in events:
        calls.feed(event)
    own = [event for event in events if isinstance(event, ToolCall)]
    pairs = [one for one, other in itertools.pairwise(own) if one == other and (one.path or one.command)]
    assert calls.use().repeated == len(pairs)
    assert calls.use().failed == sum(isinstance(event, ToolResult) and event.is_error for event in events)
    assert calls.use().first_write_s is None or any(call.path for call in own)


def test_sum_of_two_starts_has_the_earlier_first_write() -> None:
    assert ToolUse(1, 2) + ToolUse(3, 4, 5.0, 7) == ToolUse(4, 6, 5.0, 7)
    kinds = TurnKinds(write=1, text=2)
    both = ToolUse(corrected=1, failure_loops=1, kinds=kinds, longest_silence_s=3.0)
    assert both + both == ToolUse(corrected=2, failure_loops=2, kinds=TurnKinds(write=2, text=4), longest_silence_s=3.0)
    assert ToolUse(first_write_s=1.0) + ToolUse(first_write_s=2.0) == ToolUse(first_write_s=1.0)
