"""The text of the live line, which shows the running steps."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.reporters.live_line import Progress, Running, live_line, running_text
from pytest_gump.text import ASCII, UNICODE, width

ONE = Running("", "build::impl[billing]", "claude-haiku", 3, 0.0121, 14.0)
THIRD = replace(
    ONE, attempt=3, why="test failed: 2 failed, 35 passed", doing="Bash python -m pytest -q tests/test_billing.py"
)
PROGRESS = Progress(settled=4, known=8, spent_usd=0.31, budget_usd=5.0)


def test_a_wide_terminal_shows_everything() -> None:
    line = live_line([THIRD], UNICODE, 200, progress=PROGRESS)
    assert line.split("  ") == [
        "… 5/8",
        "build::impl[billing]",
        "claude-haiku",
        "attempt 3",
        "(test failed: 2 failed, 35 passed)",
        "Bash python -m pytest -q tests/test_bi..",
        "3 turns",
        "$0.0121",
        "14s",
        "run $0.31 of $5.00",
    ]


def test_a_narrow_terminal_omits_the_agent_then_phase_attempt_and_cost() -> None:
    line = live_line([replace(THIRD, step="impl")], UNICODE, 80, progress=PROGRESS)
    assert line == "… 5/8  impl  attempt 3  Bash python -m pyt..  3 turns  14s  run $0.31 of $5.00"
    line = live_line([THIRD], UNICODE, 60, progress=PROGRESS)
    assert line == "… 5/8  impl[billing]  #3  Bash pyt..  14s  $0.31 of $5.00"


def test_without_a_tool_call_the_phase_is_the_agent_or_the_gate() -> None:
    assert "  gate: test  " in live_line([replace(ONE, doing="gate: test")], ASCII, 60)
    assert "  agent  " in live_line([replace(ONE, step="a-step-with-quite-a-long-name", attempt=2)], ASCII, 60)
    assert running_text(replace(ONE, agent=None, turns=0, usd=None)) == "build::impl[billing]  gate  14s"


def test_an_estimate_is_marked() -> None:
    line = live_line([replace(ONE, is_estimated=True)], ASCII, 120, progress=PROGRESS._replace(is_estimated=True))
    assert "  ~$0.0121  " in line
    assert line.endswith("run ~$0.31 of $5.00")


def test_each_of_several_attempts_is_shown_with_its_activity() -> None:
    other = replace(ONE, step="build::impl[durations]", doing="gate: test")
    line = live_line([THIRD, other], ASCII, 200, progress=PROGRESS)
    assert line.startswith(". 2 running  4/8 steps  run $0.31 of $5.00: impl[billing] ")
    assert "impl[durations] claude-haiku gate: test 3t $0.0121 14s" in line


TEXT = st.text(st.sampled_from("ab 値é…é[]:"), min_size=0, max_size=50)
RUNNING = st.builds(
    Running,
    label=TEXT,
    step=st.sampled_from(["impl", "build::impl[item-2]", "値" * 30]),
    agent=st.none() | TEXT,
    turns=st.integers(0, 500),
    usd=st.none() | st.floats(0, 1000),
    seconds=st.floats(0, 100_000),
    attempt=st.integers(1, 30),
    why=TEXT,
    doing=TEXT,
)


@given(st.lists(RUNNING, min_size=1, max_size=5), st.integers(1, 200))
def test_the_line_is_always_shorter_than_the_terminal(running: list[Running], columns: int) -> None:
    assert width(live_line(running, UNICODE, columns, progress=PROGRESS)) < max(columns, 2)
