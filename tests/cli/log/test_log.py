"""`gump log`: an attempt as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Gump


def test_the_log_shows_prompt_work_gates_and_files(passed: Gump) -> None:
    output = passed.good("log", "first")
    assert output.startswith("first attempt 2 of 2, claude-sonnet, diff: passed\n")
    assert "  Do the first half: # What to build" in output
    assert "-- turn 1" in output
    assert "Write first.py" in output
    assert re.search(r"touched: \*\.py passed", output)
    assert re.search(r"added +first\.py +\+1 -0", output)


def test_an_older_attempt_can_be_shown(passed: Gump) -> None:
    output = passed.good("log", "first", "--attempt", "1", "--no-prompt")
    assert output.startswith("first attempt 1 of 2, claude-haiku, diff: gate_failed\n")
    assert "no changed file matches *.py" in output
    assert "Do the first half" not in output


def test_all_attempts_can_be_shown(passed: Gump) -> None:
    output = passed.good("log", passed.project.folders()[0].run_id, "first", "--all")
    assert "first attempt 1 of 2" in output
    assert "first attempt 2 of 2" in output


def test_text_of_an_agent_cannot_control_the_terminal(passed: Gump) -> None:
    output = passed.good("log", "first", "--attempt", "1")
    assert "I only took notes." in output
    assert "\x1b" not in output


def test_an_unknown_step_is_an_error_that_lists_the_steps(passed: Gump) -> None:
    assert "its steps: first, second" in passed.bad("log", "frist", code=2)
    assert "has no attempt 9" in passed.bad("log", "first", "--attempt", "9", code=2)


def test_steps_of_plan_items_are_found_by_the_end_of_their_path(gump: Gump) -> None:
    gump.project.workflow(
        "each",
        "name: each\nsteps:\n  - name: plan\n    agent: claude\n    output: plan\n"
        "  - name: build\n    foreach: plan\n    steps:\n      - name: impl\n        agent: claude\n        prompt: go\n",
    )
    gump.project.plan("plan", "a", "b")
    gump.project.answer("build::impl[a]", writes={"a.py": "a = 1\n"})
    gump.project.answer("build::impl[b]", writes={"b.py": "b = 1\n"})
    gump.project.run("each").assert_outcomes(passed=3)
    assert gump.good("log", "impl[a]").startswith("build::impl[a] attempt 1, claude, diff: passed")
    assert "'impl' matches several steps: build::impl[a], build::impl[b]" in gump.bad("log", "impl", code=2)
    assert "b.py" in gump.good("diff", "build::impl[b]", "--stat")
