from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.base import Text, ToolCall, ToolResult, Turn
from pytest_gump.engine.checks.tool_watch import ToolWatch
from pytest_gump.order import ToolUse


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
    assert calls.use == ToolUse(failed=1, repeated=2, first_write_s=7.0)


def test_write_of_the_output_file_does_not_count() -> None:
    calls = watch(Clock())
    calls.feed(ToolCall("write", path=".gump/out/plan.json"))
    assert calls.use == ToolUse()


def test_calls_without_path_and_command_are_not_repeats() -> None:
    calls = watch(Clock())
    for _ in range(3):
        calls.feed(ToolCall("search"))
    assert calls.use == ToolUse()


CALLS = st.builds(ToolCall, st.sampled_from("ab"), st.none() | st.just("a.py"), st.none() | st.just("make"))


@given(st.lists(CALLS | st.builds(ToolResult, st.booleans()), max_size=20))
def test_counts_match_the_stream(events: list[ToolCall | ToolResult]) -> None:
    clock = Clock()
    calls = watch(clock)
    for event in events:
        calls.feed(event)
    own = [event for event in events if isinstance(event, ToolCall)]
    pairs = [one for one, other in itertools.pairwise(own) if one == other and (one.path or one.command)]
    assert calls.use.repeated == len(pairs)
    assert calls.use.failed == sum(isinstance(event, ToolResult) and event.is_error for event in events)
    assert (calls.use.first_write_s is not None) == any(call.path for call in own)


def test_sum_of_two_starts_has_the_earlier_first_write() -> None:
    assert ToolUse(1, 2) + ToolUse(3, 4, 5.0) == ToolUse(4, 6, 5.0)
    assert ToolUse(first_write_s=1.0) + ToolUse(first_write_s=2.0) == ToolUse(first_write_s=1.0)
