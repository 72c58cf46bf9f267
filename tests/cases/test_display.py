"""The counts in the last line of a run, and the files that a prompt allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

REVIEWED = """\
name: reviewed
steps:
  - name: change
    agent: claude-haiku
    prompt: Change it.
  - name: reviews
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, output: review, prompt: Look.}
      - {name: two, agent: claude-haiku, output: review, prompt: Look.}
    on_failure: {retry: 2, restart_from: change}
"""
PAIR = """\
name: pair
steps:
  - name: both
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: Do one.}
      - {name: two, agent: claude-haiku, prompt: Do two.}
"""
TEST_FIRST = """\
name: test-first
steps:
  - name: plan
    agent: claude-haiku
    output: plan
    prompt: Plan it.
  - name: build
    foreach: plan
    steps:
      - name: impl
        agent: claude-haiku
        prompt: Make the tests pass.
        gate: ["untouched: @tests"]
"""


def last_line(project: GumpProject, name: str, text: str) -> str:
    project.workflow(name, text)
    lines = project.run(name).outlines
    return next(line for line in lines if line.startswith("run "))


def test_steps_of_a_parallel_group_are_counted_as_steps(project: GumpProject) -> None:
    for name in ("one", "two"):
        project.answer(f"both::{name}", writes={f"{name}.py": "x = 1\n"}, cost_usd=0.0094)
    assert last_line(project, "pair", PAIR).startswith("run passed — 2 steps, $0.0188, ")


def test_a_repeated_group_is_counted_as_a_retry(project: GumpProject) -> None:
    project.answer("change", writes={"a.py": "x = 1\n"})
    project.answer("change", attempt=2, writes={"a.py": "x = 2\n"})
    for attempt in (1, 2):
        project.review("reviews::one", passes=True, attempt=attempt)
        project.review("reviews::two", passes=attempt == 2, comment="no", attempt=attempt)
    line = last_line(project, "reviewed", REVIEWED)
    assert line.startswith("run passed — 3 steps, 1 retry, "), line


def test_the_prompt_does_not_allow_files_that_the_step_must_not_change(project: GumpProject) -> None:
    project.plan("plan", {"name": "add", "description": "add it", "files": ["src/add.py", "tests/test_add.py"]})
    project.answer("build::impl[add]", writes={"src/add.py": "x = 1\n"})
    project.workflow("test-first", TEST_FIRST)
    project.run("test-first").assert_outcomes(passed=2)
    (prompt,) = project.folders()[0].attempts.glob("*impl*/prompt.md")
    section = prompt.read_text(encoding="utf-8").partition("## Files you may change\n")[2].partition("\n## ")[0]
    assert "- `src/add.py`" in section
    assert "test_add.py" not in section
    assert "A change of a test file makes this attempt fail" in section
