"""Validators in whole sessions: a step passes only if the workflows in its gate list do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.engine.reporting.progress import where

from tests.kits.commands import gump

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

ARCH: Final = """\
name: arch
inputs:
  focus: {default: everything}
  change: {}
steps:
  - {name: look, agent: claude-haiku, output: artifact, prompt: "Look at {focus}: {change}"}
  - {name: verdict, agent: claude-opus, output: review, prompt: "Judge this: {steps.look.output}"}
"""
MAIN: Final = """\
name: main
steps:
  - name: impl
    agent: claude-sonnet
    prompt: Change it.
    gate: [{validate: arch, with: {focus: errors, change: "{diff}"}}, compile]
    on_failure: {retry: 3}
  - {name: end, gate: [compile]}
"""
PART: Final = "impl--validate-arch"


@pytest.fixture
def validated(project: GumpProject) -> GumpProject:
    """Return a project with a step that has a validator; the verdict is still missing."""
    project.workflow("arch", ARCH)
    project.workflow("main", MAIN)
    project.answer("impl", writes={"new.py": "first = 1\n"})
    project.answer("impl", attempt=2, writes={"new.py": "second = 2\n"})
    for attempt in (1, 2):
        project.answer(f"{PART}::look", attempt=attempt, out={"artifact.txt": f"look {attempt}"})
    return project


def test_a_verdict_fails_the_attempt_and_its_comment_is_in_the_next_prompt(validated: GumpProject) -> None:
    validated.review(f"{PART}::verdict", passes=False, comment="Use the\nsecond name.")
    validated.review(f"{PART}::verdict", passes=True, attempt=2)
    result = validated.run("main", "-o", "junit_family=xunit1", "--junitxml=out.xml")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["→ impl *", "  ✓ look *", "  ✗ verdict *", "⟳ impl *", "*4 passed, 1 retried in *"])
    record = validated.record()
    assert [(attempt.step, attempt.attempt, attempt.verdict) for attempt in record.attempts] == [
        ("impl", 1, "retried"), (f"{PART}::look", 1, "passed"), (f"{PART}::verdict", 1, "again"),
        ("impl", 2, "passed"), (f"{PART}::look", 2, "passed"), (f"{PART}::verdict", 2, "passed"),
        ("end", 1, "passed"),
    ]  # fmt: skip
    assert "Look at errors: diff --git" in validated.prompt(f"{PART}::look")
    assert "+first = 1" in validated.prompt(f"{PART}::look")
    assert "Judge this: look 1" in validated.prompt(f"{PART}::verdict")
    assert "### Comment of `arch`\n\n```\nUse the\nsecond name.\n```\n" in validated.prompt("impl", 2)
    failed = record.attempts[0].result
    assert failed is not None
    assert (failed.outcome, [gate.status for gate in failed.gates]) == ("review_failed", ["passed", "failed"])
    slots = {attempt.step: attempt.slot for attempt in record.attempts}
    assert (slots["impl"], slots[f"{PART}::look"], slots[f"{PART}::verdict"], slots["end"]) == ("w1", "w2", "w2", "w1")
    assert record.total.cost_usd == pytest.approx(0.06)
    cases = [case.get("name") for case in ET.parse(validated.path / "out.xml").iter("testcase")]
    assert cases == ["impl", "look", "verdict", "end"]


BUDGET: Final = MAIN.replace("    on_failure", "    max_budget: 0.02\n    on_failure")
"""The step may cost as much as its first attempt and one step of the validator."""


def test_a_resumed_run_runs_only_the_step_without_a_verdict_again(validated: GumpProject) -> None:
    """The budget of the step, which includes the cost of its validators, was too small for the verdict."""
    validated.workflow("main", BUDGET)
    validated.review(f"{PART}::verdict", passes=True)
    result = validated.run("main")
    result.assert_outcomes(failed=1, passed=1, skipped=1)
    spent = "max_budget of impl is spent: $0.02 of $0.02"
    result.stdout.fnmatch_lines([f"impl: validator arch gave no verdict: {PART}::verdict: {spent}"])
    failed = {path: step.outcome for path, step in validated.record().steps.items() if step.status == "failed"}
    assert failed == {"impl": "gate_error", f"{PART}::verdict": "budget"}
    assert [attempt.step for attempt in where(validated.record())] == ["impl"], "the step that ended the run"
    validated.workflow("main", MAIN)
    validated.review(f"{PART}::verdict", passes=True, attempt=2)
    dry = validated.pytester.runpytest_inprocess("--gump-resume", "--gump-dry-run")
    dry.stdout.fnmatch_lines(["→ impl * to check by arch", "→ end * to do"])
    assert validated.pytester.runpytest_inprocess("--gump-resume").ret == pytest.ExitCode.OK
    record = validated.record()
    assert [(attempt.step, attempt.attempt, attempt.verdict) for attempt in record.attempts] == [
        ("impl", 1, "passed"), (f"{PART}::look", 1, "passed"), (f"{PART}::verdict", 1, "again"),
        (f"{PART}::verdict", 2, "passed"), ("end", 1, "passed"),
    ]  # fmt: skip
    checked = record.attempts[0].result
    assert checked is not None
    assert [gate.status for gate in checked.gates] == ["passed", "passed"]
    assert validated.pytester.runpytest_inprocess(f"--gump-from={PART}").ret == pytest.ExitCode.OK
    assert [(attempt.step, attempt.attempt, attempt.reused) for attempt in validated.record().attempts] == [
        ("impl", 1, True), (f"{PART}::look", 1, False), (f"{PART}::verdict", 1, False), ("end", 1, False),
    ]  # fmt: skip


ITEMS: Final = """\
name: items
steps:
  - {name: split, agent: claude-opus, output: plan, prompt: Split it.}
  - name: build
    foreach: split
    parallel: true
    steps:
      - name: impl
        agent: claude-sonnet
        prompt: "Do {item.name}."
        gate: ["validate: both"]
"""
BOTH: Final = """\
name: both
steps:
  - name: look
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, output: artifact, prompt: One.}
      - {name: two, agent: claude-haiku, output: artifact, prompt: Two.}
  - {name: verdict, agent: claude-opus, output: review, prompt: "{steps.one.output} {steps.two.output}"}
"""


def test_workers_run_the_validators_of_parallel_items_in_slots_of_their_own(project: GumpProject) -> None:
    project.workflow("both", BOTH)
    project.workflow("items", ITEMS)
    project.plan("split", "a", "b")
    part = "build::impl--validate-both"
    for item in ("a", "b"):
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"})
        for name in ("one", "two"):
            project.answer(f"{part}::look::{name}[{item}]", out={"artifact.txt": f"{name} of {item}"})
        project.review(f"{part}::verdict[{item}]", passes=True)
    result = project.run_apart("items", "-n2")
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    assert "two of b" in project.prompt(f"{part}::verdict[b]")
    for item in ("a", "b"):
        slots = {attempt.slot for attempt in record.attempts if part in attempt.step and f"[{item}]" in attempt.step}
        assert record.steps[f"build::impl[{item}]"].attempts[0].slot not in slots
    assert set(project.git("ls-tree", "--name-only", record.branch).splitlines()) >= {"a.py", "b.py"}


KINDS: Final = """\
name: kinds
steps:
  - name: impl
    agent: claude-haiku
    prompt: Change it.
    gate: [compile, {validate: arch, with: {change: "{output}"}}]
    on_failure:
      retry: 4
      strategy:
        - {escalate: claude-opus, when: {validate: arch}, prompt: "Answer {prev.comment}. {gate.arch}. {gate.compile}"}
        - {same: 2, when: {gate: compile}}
"""


def test_a_strategy_answers_a_validator_and_both_see_what_the_other_said(validated: GumpProject) -> None:
    validated.workflow("kinds", KINDS)
    validated.answer("impl", writes={"new.py": "def broken(:\n"})
    validated.answer("impl", attempt=3, writes={"new.py": "third = 3\n"})
    validated.review(f"{PART}::verdict", passes=False, comment="Use the third name.")
    validated.review(f"{PART}::verdict", passes=True, attempt=2)
    result = validated.run("kinds")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*strategy: same if compile fails", "*strategy: escalate: claude-opus if validator arch *"]
    )
    attempts = [(attempt.agent, attempt.entry) for attempt in validated.record().steps["impl"].attempts]
    assert attempts == [("claude-haiku", "first"), ("claude-haiku", "same"), ("claude-opus", "escalate")]
    asked = validated.prompt("impl", 3)
    assert "Answer Use the third name.. Use the third name.. 2 Python files compile" in asked
    looked = [validated.prompt(f"{PART}::look", attempt) for attempt in (1, 2)]
    assert "Look at everything: diff --git a/new.py b/new.py" in looked[0]
    assert "+second = 2" in looked[0]
    assert "+third = 3" in looked[1]


def test_an_edited_validator_checks_the_attempt_of_the_author_again(validated: GumpProject) -> None:
    """The author's attempt is reused; the validator's is not, because its prompt has changed."""
    validated.review(f"{PART}::verdict", passes=False, comment="No.")
    validated.workflow("main", MAIN.replace("retry: 3", "retry: 1"))
    validated.run("main").assert_outcomes(failed=1, passed=1, skipped=1)
    validated.workflow("arch", ARCH.replace("Judge this", "Judge this again"))
    validated.review(f"{PART}::verdict", passes=True, attempt=2)
    result = validated.pytester.runpytest_inprocess("--gump-resume")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*%]")  # pytest's progress: only of tests that are not steps
    made = [(attempt.step, attempt.attempt) for attempt in validated.record().attempts][3:]
    assert made == [(f"{PART}::verdict", 2), ("end", 1)]


def test_a_validator_at_its_usage_limit_is_repeated_and_the_author_is_not(validated: GumpProject) -> None:
    limit = "You've hit your usage limit."
    validated.answer(f"{PART}::verdict", agent="claude-opus", exit_code=1, outcome="quota", reason=limit)
    validated.answer(
        f"{PART}::verdict", agent="codex", out={"validate.json": '{"pass": true, "comments": "As in the original."}'}
    )
    assert validated.run("main", "--gump-on-quota=codex").ret == pytest.ExitCode.OK
    attempts = [
        (attempt.step, attempt.attempt, attempt.agent, attempt.verdict) for attempt in validated.record().attempts
    ]
    assert attempts[2:] == [
        (f"{PART}::verdict", 1, "claude-opus", "failover"),
        (f"{PART}::verdict", 1, "codex", "passed"),
        ("end", 1, None, "passed"),
    ]
    result = validated.record().steps["impl"].attempts[0].result
    assert result is not None
    assert result.gates[-1].summary == "As in the original."


def test_arch_review_that_is_not_independent_after_an_escalation_is_noted(validated: GumpProject) -> None:
    gate = "gate: [{validate: arch-review, with: {focus: names}, independent: true}, compile]"
    policy = "on_failure: {retry: 2, strategy: [same, 'escalate: claude-sonnet']}"
    step = f"  - name: impl\n    agent: codex\n    prompt: Do.\n    {gate}\n    {policy}\n"
    validated.workflow("main", f"name: main\nsteps:\n{step}")
    validated.answer("impl", writes={"new.py": "def broken(:\n"})
    review = "impl--validate-arch-review::review"
    validated.review(review, passes=True)
    result = validated.run("main")
    assert result.ret == pytest.ExitCode.OK
    note = "validator arch-review was not independent: claude-opus and claude-sonnet are Claude models"
    assert validated.record().steps["impl"].attempts[1].why == note
    result.stdout.fnmatch_lines(["*validator arch-review was not independent: claude-opus and*"])
    assert "Look in particular at: names" in validated.prompt(review)
    assert "+second = 2" in validated.prompt(review)


def test_validators_run_after_a_person_has_approved_the_work_of_the_agent(validated: GumpProject) -> None:
    validated.review(f"{PART}::verdict", passes=False, comment="No.")
    validated.review(f"{PART}::verdict", passes=True, attempt=2)
    assert validated.run("main", "--gump-pause-after=impl").ret == pytest.ExitCode.TESTS_FAILED
    assert [attempt.step for attempt in validated.record().attempts] == ["impl"], "nothing is checked before"
    for _ in range(2):
        assert gump("approve", "--by", "Ada").returncode == 0
        result = validated.pytester.runpytest_inprocess("--gump-resume")
    assert result.ret == pytest.ExitCode.OK
    attempts = [(attempt.step, attempt.attempt, attempt.verdict) for attempt in validated.record().attempts]
    assert attempts == [
        ("impl", 1, "approved"), ("impl", 1, "retried"),
        (f"{PART}::look", 1, "passed"), (f"{PART}::verdict", 1, "again"),
        ("impl", 2, "approved"), ("impl", 2, "passed"),
        (f"{PART}::look", 2, "passed"), (f"{PART}::verdict", 2, "passed"),
        ("end", 1, "passed"),
    ]  # fmt: skip


def test_a_run_from_a_later_step_keeps_the_verdict_of_a_validator(validated: GumpProject) -> None:
    """The attempts have other numbers in the new run, because the first one of the old run is not copied."""
    validated.workflow("main", MAIN.replace("retry: 3", "retry: 1"))
    validated.answer("impl", writes={"new.py": "def broken(:\n"})
    validated.review(f"{PART}::verdict", passes=True, comment="Good.")
    assert validated.run("main").ret == pytest.ExitCode.TESTS_FAILED
    validated.workflow("main", MAIN.replace("retry: 3", "retry: 1").replace("Change it.", "Change it now."))
    for words in (["--gump-resume"], ["--gump-from=end"]):
        assert validated.pytester.runpytest_inprocess(*words).ret == pytest.ExitCode.OK
    record = validated.record()
    assert [(attempt.number, attempt.step, attempt.verdict, attempt.reused) for attempt in record.attempts] == [
        (1, "impl", "passed", True), (2, f"{PART}::look", "passed", True),
        (3, f"{PART}::verdict", "passed", True), (4, "end", "passed", False),
    ]  # fmt: skip
    result = record.attempts[0].result
    assert result is not None
    assert result.gates[-1].summary == "Good."
