"""`pytest --gump-workflow=NAME spec.md`: outcomes, lines, counts and exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.kits.workflows import BROKEN, PLAN, REPLAN, RESTART

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


SAVES_REPORTS = """\
import json
def pytest_configure(config):
    global session_config
    session_config = config
def pytest_runtest_logreport(report):
    data = session_config.hook.pytest_report_to_serializable(config=session_config, report=report)
    with open("reports.ndjson", "a") as file:
        file.write(json.dumps(data) + "\\n")
"""


def two_items(project: GumpProject) -> None:
    project.plan("decompose", "one", "two")
    for item in ("one", "two"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}.py": f"import {item}\n"}, session_id=f"s-{item}")
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"}, session_id=f"s-{item}")


def test_a_passed_step_is_one_passed_item(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, turns=3, cost_usd=0.42)
    result = project.run("one")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["✓ impl *claude-haiku *diff *3 turns *$0.42*", "run passed — 1 step, $0.42, *"])


def test_the_users_branch_is_unchanged(project: GumpProject) -> None:
    head, status = project.git("rev-parse", "HEAD"), project.git("status", "--porcelain", "--ignored")
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one").assert_outcomes(passed=1)
    assert project.git("rev-parse", "HEAD") == head
    assert project.git("status", "--porcelain", "--ignored") == "!! .gump/runs/\n!! .pytest_cache/"
    assert status == ""
    assert "new.py" in project.tree(project.record().head)


def test_a_retried_attempt_does_not_count_as_failed(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    result = project.run("retry", "-x")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes() == {"passed": 1, "retried": 1}
    result.stdout.fnmatch_lines(
        ["⟳ impl *", "*compile failed: 1 of 2 Python files do not compile", "✓ impl *(attempt 2)"]
    )


def test_the_prompt_of_a_retry_names_the_failures(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    project.run("retry")
    prompt = project.prompt("impl", attempt=2)
    assert "new.py:1: SyntaxError" in prompt
    assert "+def broken(:" in prompt
    assert "What failed" not in project.prompt("impl", attempt=1)


def test_an_escalation_is_shown_with_its_attempt(project: GumpProject) -> None:
    for attempt, text in enumerate((BROKEN, BROKEN + "# again\n", "x = 1\n"), 1):
        project.answer("impl", attempt=attempt, writes={"new.py": text})
    result = project.run("retry")
    assert result.parseoutcomes() == {"passed": 1, "retried": 1, "escalated": 1}
    result.stdout.fnmatch_lines(
        ["✓ impl *claude-sonnet*", "*(escalated, attempt 3)", "run passed — 1 step, 1 retry, 1 escalation, *"]
    )


KINDS = """\
name: kinds
steps:
  - name: impl
    agent: claude-haiku
    prompt: "Do it.\\n{prev.comment}"
    gate: [compile, "untouched: app.py"]
    on_failure:
      retry: 4
      strategy:
        - {escalate: claude-opus, when: {gate: untouched}, prompt: "Compile: {gate.compile}. Last: {output}"}
        - {same: 1, when: {gate: compile}, prompt: "Repair {gate.compile}\\n{prev.diff}"}
  - name: review
    agent: claude-opus
    output: review
    prompt: "Is it right?\\n{prev.output}"
    on_failure: {retry: 2, restart_from: impl}
"""


def test_failures_are_answered_by_their_kind_with_facts_of_the_attempt_before(project: GumpProject) -> None:
    project.workflow("kinds", KINDS)
    for attempt, files in enumerate(
        ({"new.py": BROKEN}, {"new.py": "x = 0\n", "app.py": "value = 2\n"}, *[{"new.py": "x = 1\n"}] * 2), 1
    ):
        project.answer("impl", attempt=attempt, writes=files)
    project.review("review", passes=False, comment="It is too short.")
    project.review("review", passes=True, attempt=2)
    result = project.run("kinds")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*strategy: same if compile fails", "*strategy: escalate: claude-opus if untouched fails"]
    )
    attempts = [(made.agent, made.entry) for made in project.record().steps["impl"].attempts]
    assert attempts == [
        ("claude-haiku", "first"),
        ("claude-haiku", "same"),
        ("claude-opus", "escalate"),
        ("claude-haiku", "restart"),
    ]
    prompts = [project.prompt("impl", attempt) for attempt in (1, 2, 3, 4)]
    assert prompts[0].startswith("## Your task\n\nDo it.\n\n## ")
    assert prompts[1].startswith("## Your task\n\nRepair 1 of 2 Python files do not compile\ndiff --git a/new.py")
    assert prompts[2].startswith("## Your task\n\nCompile: 2 Python files compile. Last: diff --git a/app.py")
    assert prompts[3].startswith("## Your task\n\nDo it.\nIt is too short.")
    assert '"comment": "It is too short."' in project.prompt("review", 2)


def test_a_step_without_attempts_left_fails_the_session(project: GumpProject) -> None:
    for attempt in (1, 2, 3):
        project.answer("impl", attempt=attempt, writes={"new.py": BROKEN + f"# {attempt}\n"})
    result = project.run("retry")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        [
            "✗ impl *",
            "impl: compile failed: 1 of 2 Python files do not compile",
            "gate compile: 1 of 2 Python files do not compile",
            "  $ * (exit code 1)",
            "*SyntaxError*",
            "run failed — *",
            "FAILED spec.md::retry::impl*",  # pytest 8.3 prints no reason here
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_gump/*.py:*")


def test_plan_items_become_items_with_parametrised_ids(project: GumpProject) -> None:
    two_items(project)
    result = project.run("plan", "-v")
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(
        [
            "✓ decompose *2 items*",
            "▸ build[[]one[]]",
            "  ✓ tests *",
            "  ✓ impl *",
            "▸ build[[]two[]]",
            "✓ quality *gate *compile*",
        ]
    )
    assert list(project.record().steps) == [
        "decompose",
        "build::tests[one]",
        "build::impl[one]",
        "build::tests[two]",
        "build::impl[two]",
        "quality",
    ]


def test_steps_after_a_failure_are_skipped_with_a_reason(project: GumpProject) -> None:
    project.answer("decompose", out={"plan.json": "[]"})
    result = project.run("plan", "-rs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED * decompose failed: output_invalid"])


def test_the_steps_of_an_empty_plan_are_skipped_if_it_may_be_empty(project: GumpProject) -> None:
    project.workflow("plan", PLAN.replace("    output: plan\n", "    output: plan\n    allow_empty: true\n"))
    project.answer("decompose", out={"plan.json": "[]"})
    result = project.run("plan", "-rs")
    result.assert_outcomes(passed=2, skipped=2)
    result.stdout.fnmatch_lines(["*the plan is empty, so build has nothing to do", "SKIPPED * the plan is empty"])


def test_the_prompt_of_a_retry_names_errors_of_an_invalid_plan(project: GumpProject) -> None:
    text = PLAN.replace("    prompt: Split it.\n", "    prompt: Split it.\n    on_failure: {retry: 2}\n")
    project.workflow("plan", text)
    project.answer("decompose", out={"plan.json": '[{"name": ""}]'})
    project.plan("decompose", "one", attempt=2)
    project.answer("build::tests[one]", writes={"test_one.py": "import one\n"})
    project.answer("build::impl[one]", writes={"one.py": "x = 1\n"})
    project.run("plan").assert_outcomes(passed=4)
    assert project.record().attempts[0].result.outcome == "output_invalid"  # type: ignore[union-attr]
    assert "name" in project.prompt("decompose", 2).split("What failed")[1]


def test_conversations_are_reused_within_a_plan_item(project: GumpProject) -> None:
    two_items(project)
    project.run("plan")
    resumed = {
        event["step"]: event["session_resumed"] for event in project.ledger() if event["event"] == "attempt_started"
    }
    assert resumed == {
        "decompose": False,
        "build::tests[one]": False,
        "build::impl[one]": True,
        "build::tests[two]": False,
        "build::impl[two]": True,
        "quality": False,
    }


def test_the_branch_of_a_run_has_one_commit_for_each_step_with_changes(project: GumpProject) -> None:
    two_items(project)
    project.run("plan")
    subjects = project.git(
        "log", "--format=%s|%(trailers:key=Gump-Step,valueonly,separator=)", "main.." + project.record().branch
    )
    assert [line.partition("|")[2] for line in subjects.splitlines()] == [
        "build::impl[two]",
        "build::tests[two]",
        "build::impl[one]",
        "build::tests[one]",
    ]


def test_cost_of_failed_attempts_is_recorded(project: GumpProject) -> None:
    for attempt, text in enumerate((BROKEN, "x = 1\n"), 1):
        project.answer("impl", attempt=attempt, writes={"new.py": text}, cost_usd=0.25)
    result = project.run("retry")
    assert project.record().total.cost_usd == 0.5
    result.stdout.fnmatch_lines(["run passed — 1 step, 1 retry, $0.50, *"])


def test_a_spent_budget_ends_the_run_without_a_retry(project: GumpProject) -> None:
    project.answer("impl", writes={"new.py": BROKEN}, cost_usd=0.30)
    result = project.run("retry", "--gump-max-budget=0.20")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    assert [one.result.outcome for one in record.attempts if one.result] == ["budget"]
    result.stdout.fnmatch_lines(["*pytest --gump-resume --gump-max-budget=USD  resume with a higher budget"])
    assert record.total.cost_usd == 0.30
    result.stdout.fnmatch_lines(["*budget*"])


def test_one_worktree_is_kept_for_the_next_run(project: GumpProject) -> None:
    project.write({"pytest.ini": f"[pytest]\ngump_worktrees = {project.path.parent / 'slots'}\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    for _ in range(2):
        project.run("one").assert_outcomes(passed=1)
        (root,) = (project.path.parent / "slots").iterdir()
        assert sorted(path.name for path in root.iterdir() if path.is_dir()) == ["w1"]
        assert (root / "w1.lease").read_text() == ""


def test_a_missing_recording_fails_the_step_and_lists_the_existing_ones(project: GumpProject) -> None:
    project.answer("other", writes={"new.py": "x = 1\n"})
    result = project.run("retry")
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.fnmatch_lines(["*cassette has no recording of impl; it has other*"])


def test_a_step_that_is_restarted_counts_once(project: GumpProject) -> None:
    project.workflow("restart", RESTART)
    project.answer("tests", writes={"test_new.py": "import new\n"})
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("tests", attempt=2, writes={"test_new.py": "import new\n\n"})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"})
    result = project.run("restart", "--junitxml=junit.xml")
    assert result.parseoutcomes() == {"passed": 2, "retried": 1}
    result.stdout.fnmatch_lines(
        ["✓ tests *", "⟳ impl *", "✓ tests *", "*(restarted, attempt 2)", "✓ impl *", "*(restarted, attempt 2)"]
    )
    cases = ET.parse(project.path / "junit.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == ["tests", "impl"]


def test_a_replan_splits_the_work_and_the_gates_of_the_step_check_it(project: GumpProject) -> None:
    project.workflow("replan", REPLAN)
    project.answer("impl", writes={"new.py": BROKEN})
    project.plan("impl--replan::plan", "first", "second")
    project.answer("impl--replan::item[first]", writes={"first.py": "x = 1\n"})
    project.answer("impl--replan::item[second]", writes={"second.py": "x = 1\n"})
    result = project.run("replan")
    result.stdout.fnmatch_lines(["run passed — *"])
    assert project.record().steps["impl"].status == "passed"
    assert {"first.py", "second.py"} <= set(project.tree(project.record().head))
    assert "new.py" not in project.tree(project.record().head)


def test_a_part_of_a_replan_that_fails_fails_the_step(project: GumpProject) -> None:
    project.workflow("replan", REPLAN)
    project.answer("impl", writes={"new.py": BROKEN})
    project.plan("impl--replan::plan", "first")
    project.answer("impl--replan::item[first]", writes={"first.py": BROKEN})
    result = project.run("replan", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1
    assert project.record().steps["impl"].status == "failed"
    failed = ET.parse(project.path / "junit.xml").getroot().findall(".//testcase[failure]")
    assert [case.get("name") for case in failed] == ["impl"]


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["in_process", "worker"])
def test_a_plugin_can_save_the_reports_of_steps(project: GumpProject, workers: tuple[str, ...]) -> None:
    project.write({"conftest.py": SAVES_REPORTS})
    project.answer("impl", writes={"new.py": BROKEN})
    project.answer("impl", attempt=2, writes={"new.py": "x = 1\n"}, cost_usd=0.25)
    assert project.run("retry", *workers).ret == pytest.ExitCode.OK
    reports = [json.loads(line) for line in (project.path / "reports.ndjson").read_text().splitlines()]
    attempts = [report["gump"] for report in reports if report["gump"]]
    assert [attempt["order"]["attempt"] for attempt in attempts] == [1, 2]
    assert [attempt["result"]["outcome"] for attempt in attempts] == ["gate_failed", "passed"]
    assert attempts[1]["result"]["usage"]["cost_usd"] == 0.25


def test_files_of_ordinary_tests_are_not_changes_of_the_run(project: GumpProject) -> None:
    project.write({"test_writes.py": "def test_writes():\n    open('stray.txt', 'w').close()\n"})
    project.commit()
    project.answer("impl", writes={"new.py": "x = 1\n"})
    result = project.run("one", "test_writes.py")
    result.assert_outcomes(passed=2)
    assert (project.path / "stray.txt").exists()
    result.stdout.no_fnmatch_line("*your checkout changed*")
