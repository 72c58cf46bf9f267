"""`--gump-resume`, `--gump-from` and `--lf`: a run continues where it ended, and shows which results it reuses."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import pytest
from pytest_gump.engine.record import fold
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.resume.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

THREE: Final = """\
name: three
steps:
  - name: tests
    agent: claude-haiku
    prompt: Test it.
    gate: [compile]
  - name: impl
    agent: claude-haiku
    prompt: Build it.
    gate: [compile]
    on_failure: {retry: 2, strategy: [same, "escalate: claude-sonnet"]}
  - name: quality
    gate: [compile]
"""
BROKEN: Final = "def broken(:\n"


@pytest.fixture
def failed(project: GumpProject, saved: Saved) -> GumpProject:
    """Return the project of a run whose second step has no attempts left."""
    saved.give("three that failed", project, _fail)
    return project


def _fail(project: GumpProject) -> None:
    project.workflow("three", THREE)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": BROKEN})
    result = project.run("three")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*pytest --gump-resume*resume the run*"])


def resume(project: GumpProject, *words: str) -> pytest.RunResult:
    return project.pytester.runpytest("--gump-resume", *words)


class Counted:
    """Counts how often a session reads ledgers, folds their events, and replays them into a schedule."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.counts: Counter[str] = Counter()
        self._count(monkeypatch, Path, "read_bytes", "read", lambda path: path.name == "ledger.ndjson")
        self._count(monkeypatch, Replay, "run", "replayed")
        self._count(monkeypatch, fold, "advance", "folded", lambda _, event: event["event"] == "run_started")

    def _count(
        self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, what: str, is_meant: Callable[..., bool] = bool
    ) -> None:
        real = getattr(owner, name)

        def counting(*arguments: Any, **more: Any) -> Any:
            self.counts[what] += is_meant(*arguments)
            return real(*arguments, **more)

        monkeypatch.setattr(owner, name, counting)


@pytest.mark.parametrize("limit", ["", "max_budget: 5\n"])
def test_a_resume_reads_and_replays_the_ledger_once(
    failed: GumpProject, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    failed.workflow("three", f"{THREE}{limit}")
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    counted = Counted(monkeypatch)
    assert resume(failed).ret == pytest.ExitCode.OK
    assert counted.counts == {"read": 1, "folded": 1, "replayed": 1}


def test_a_failed_run_resumes_at_the_step_that_failed(failed: GumpProject) -> None:
    before = failed.record()
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = resume(failed)
    result.stdout.fnmatch_lines([
        f"three on spec.md: resumes run {before.run_id}*",
        "* tests * reused",
        "* impl * re-run: it failed: gate_failed",
        "* quality * to do",
    ])  # fmt: skip
    assert result.ret == pytest.ExitCode.OK
    record = failed.record()
    assert (record.run_id, record.status, record.resumed) == (before.run_id, "passed", 1)
    made = [(one.step, one.attempt, one.agent) for one in record.attempts]
    assert made[3:] == [("impl", 3, "claude-haiku"), ("quality", 1, None)]
    assert "it.py" in failed.tree(record.branch)
    assert "test_it.py" in failed.tree(record.branch)
    assert record.total.cost_usd == pytest.approx(0.04)


def test_reused_steps_are_counted_and_listed_in_junit_xml(failed: GumpProject) -> None:
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = resume(failed, "--junitxml=j.xml")
    result.stdout.fnmatch_lines(["*2 passed, 1 reused*"])
    cases = {case.get("name"): case for case in ET.parse(failed.path / "j.xml").iter("testcase")}
    assert set(cases) == {"tests", "impl", "quality"}
    assert cases["tests"].get("time") == "0.000"
    assert not cases["tests"].findall("skipped")
    properties = {one.get("name"): one.get("value") for one in cases["tests"].iter("property")}
    assert properties["gump.reused"] == "true"


def test_steps_skipped_without_a_plan_are_not_recorded_after_it_exists(project: GumpProject) -> None:
    project.run("plan")
    assert "build::impl[*]" in project.record().steps
    project.plan("decompose", "alpha", attempt=2)
    for name in ("tests", "impl"):
        project.answer(f"build::{name}[alpha]", writes={f"{name}_alpha.py": "x = 1\n"})
    resume(project)
    assert [*project.record().steps] == ["decompose", "build::tests[alpha]", "build::impl[alpha]", "quality"]


def test_an_edited_prompt_repeats_its_step_and_all_later_steps(failed: GumpProject) -> None:
    failed.workflow("three", THREE.replace("Test it.", "Test it well."))
    failed.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = resume(failed)
    result.stdout.fnmatch_lines([
        "* tests * re-run: prompt changed",
        "* impl * re-run: it follows tests",
        "* quality * to do",
    ])  # fmt: skip
    record = failed.record()
    assert record.status == "passed"
    assert [(one.step, one.attempt) for one in record.attempts][3:] == [("tests", 2), ("impl", 3), ("quality", 1)]
    assert failed.tree(record.branch)["test_it.py"] == "x = 2"
    folder = failed.folders()[0].path
    assert "Test it well." in (folder / "workflow.yaml").read_text()
    assert "Test it well." not in (folder / "workflow.1.yaml").read_text()


def test_an_edited_failure_policy_repeats_no_step(failed: GumpProject) -> None:
    failed.workflow("three", THREE.replace("retry: 2", "retry: 3"))
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = resume(failed)
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * re-run: it failed: gate_failed"])
    assert failed.record().status == "passed"


def test_a_run_can_be_resumed_several_times(failed: GumpProject) -> None:
    failed.answer("impl", attempt=3, writes={"it.py": BROKEN})
    failed.answer("impl", attempt=4, writes={"it.py": BROKEN})
    assert resume(failed).ret == pytest.ExitCode.TESTS_FAILED
    failed.answer("impl", attempt=5, writes={"it.py": "ok = 1\n"})
    assert resume(failed).ret == pytest.ExitCode.OK
    record = failed.record()
    assert [(one.step, one.attempt) for one in record.attempts] == [
        ("tests", 1), ("impl", 1), ("impl", 2), ("impl", 3), ("impl", 4), ("impl", 5), ("quality", 1),
    ]  # fmt: skip
    assert record.resumed == 2


def test_the_gates_of_the_last_reused_step_are_checked_again(failed: GumpProject) -> None:
    failed.write({"gump.toml": '[gump]\ncompile = "false"\n'})
    before = failed.record()
    failed.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    result = resume(failed)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(failed.record().attempts) > len(before.attempts)


def test_last_failed_with_a_workflow_resumes_its_last_run(failed: GumpProject) -> None:
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = failed.run("three", "--lf")
    result.stdout.fnmatch_lines(["three on spec.md: resumes run*", "* tests * reused"])
    assert failed.record().status == "passed"
    assert len(failed.folders()) == 1
    again = failed.run("three", "--lf")
    again.stdout.fnmatch_lines(["--lf: the last run of three on spec.md passed, so a new run starts"])
    assert len(failed.folders()) == 2


def test_last_failed_finds_the_run_of_a_moved_project(failed: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    moved = failed.path.with_name("moved")
    failed.path.rename(moved)
    monkeypatch.chdir(moved)
    words = "--gump-workflow=three", "spec.md", "--lf", f"--gump-replay={failed.cassette}"
    result = failed.pytester.runpytest(*words)
    moved.rename(failed.path)
    result.stdout.fnmatch_lines(["three on spec.md: resumes run*", "* tests * reused"])


def test_a_run_resumes_from_a_subfolder_with_the_conftest_of_its_spec(
    failed: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed.write({
        "conftest.py": "def pytest_gump_gates():\n    return {'own': lambda step: None}\n",
        "pytest.ini": "[pytest]\n",
        "pkg/a.py": "",
    })  # fmt: skip
    failed.workflow("three", THREE + "  - name: more\n    gate: [own]\n")
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    monkeypatch.chdir(failed.path / "pkg")
    result = failed.pytester.run(sys.executable, "-m", "pytest", "--gump-resume")
    result.stdout.fnmatch_lines(["* tests * reused"])
    assert failed.record().status == "passed"


def test_a_broken_conftest_of_the_spec_is_one_error_line(project: GumpProject) -> None:
    project.write({"docs/spec.md": "# Spec\n", "pytest.ini": "[pytest]\n"})
    project.run("one", spec="docs/spec.md")
    project.write({"docs/conftest.py": "raise RuntimeError('no such luck')\n"})
    result = resume(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *conftest.py: cannot be imported: *no such luck*"])
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize(
    ("word", "head"),
    [
        ("--gump-resume", "three on spec.md: would resume run {run}, base *"),
        ("--gump-from=impl", "three on spec.md: would reuse results of run {run}, base *"),
    ],
)
def test_a_dry_run_shows_what_would_be_reused_and_writes_nothing(failed: GumpProject, word: str, head: str) -> None:
    run = failed.folders()[0]
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}, failed.git("show-ref")
    result = failed.pytester.runpytest(word, "--gump-dry-run")
    why = "requested" if "from" in word else "it failed: gate_failed"
    result.stdout.fnmatch_lines([
        head.format(run=run.run_id),
        "* tests * reused",
        f"* impl * re-run: {why}",
        "* quality * to do",
    ])  # fmt: skip
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}, failed.git("show-ref")
    assert after == before
    assert len(failed.folders()) == 1


def test_a_new_run_does_not_resume_an_old_one(failed: GumpProject) -> None:
    failed.run("three")
    assert len(failed.folders()) == 2


def test_an_added_step_is_run_by_the_resumed_run(failed: GumpProject) -> None:
    failed.workflow("three", THREE + "  - name: more\n    agent: claude-haiku\n    prompt: More.\n")
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    failed.answer("more", writes={"more.py": "m = 1\n"})
    resume(failed).stdout.fnmatch_lines(["* more * to do"])
    record = failed.record()
    assert record.status == "passed"
    assert "more.py" in failed.tree(record.branch)


# -- refusals ----------------------------------------------------------------------------------------------------


def test_a_run_that_passed_has_nothing_to_resume(project: GumpProject) -> None:
    project.answer("impl", writes={"app.py": "value = 2\n"})
    project.run("one")
    result = resume(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*passed: there is nothing to resume", "*hint: gump apply*"])


def test_resume_without_any_run_is_an_error(project: GumpProject) -> None:
    result = resume(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no runs in*"])


@pytest.mark.parametrize("words", [["spec.md"], ["--gump-workflow=one", "spec.md"], ["--gump-base=HEAD"]])
def test_options_that_come_from_the_run_are_refused(failed: GumpProject, words: list[str]) -> None:
    result = failed.pytester.runpytest(*words, "--gump-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*takes spec, workflow and base from the run: leave out*"])


def test_resume_in_addopts_has_no_effect(failed: GumpProject) -> None:
    failed.write({"pytest.ini": "[pytest]\naddopts = --gump-resume\n"})
    before = failed.ledger()
    failed.pytester.runpytest("spec.md")
    assert failed.ledger() == before


def test_the_command_that_restores_a_spec_is_quoted(project: GumpProject) -> None:
    project.write({"the spec.md": "# Spec\n"})
    project.run("one", spec="the spec.md")
    (project.path / "the spec.md").unlink()
    resume(project).stderr.fnmatch_lines(["  hint: restore it: cp * '*/the spec.md'"])


def test_a_missing_spec_is_an_error_that_names_its_copy(failed: GumpProject) -> None:
    (failed.path / "spec.md").unlink()
    result = resume(failed)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*the spec of run * no longer exists: *spec.md", "*hint: restore it: cp *spec.md *spec.md"]
    )


# -- from a step -------------------------------------------------------------------------------------------------


def test_a_new_run_starts_from_a_step_of_an_earlier_run(project: GumpProject) -> None:
    project.plan("decompose", "alpha", "beta")
    for item in ("alpha", "beta"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}.py": "x = 1\n"})
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"})
    assert project.run("plan").ret == pytest.ExitCode.OK
    origin = project.record()
    before = project.ledger()
    project.answer("build::impl[beta]", writes={"beta.py": "x = 2\n"})
    result = project.pytester.runpytest("--gump-from=build::impl[[]beta]".replace("[[]", "["))
    result.stdout.fnmatch_lines([
        f"reuses results of run {origin.run_id}",
        "* decompose * reused",
        "* build::tests[[]alpha] * reused",
        "* build::impl[[]alpha] * reused",
        "* build::tests[[]beta] * reused",
        "* build::impl[[]beta] * re-run: requested",
        "* quality * re-run: it follows build::impl[[]beta]",
        "*2 passed, 4 reused*",
    ])  # fmt: skip
    record = project.record()
    assert (record.status, record.origin) == ("passed", origin.run_id)
    assert record.run_id != origin.run_id
    assert project.tree(record.branch)["beta.py"] == "x = 2"
    assert record.total.cost_usd == pytest.approx(0.01), "the cost of reused results belongs to the other run"
    assert list(read_ledger(project.folders()[1].ledger)) == before


def test_a_run_that_started_from_a_step_can_be_resumed(project: GumpProject) -> None:
    project.workflow("three", THREE)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.run("three")
    origin = project.record()
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": BROKEN})
    project.pytester.runpytest(f"--gump-from=impl@{origin.run_id}")
    project.answer("impl", attempt=3, writes={"it.py": "ok = 3\n"})
    result = resume(project)
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * re-run: it failed: gate_failed"])
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    assert (record.status, record.origin) == ("passed", origin.run_id)
    assert project.tree(record.branch)["it.py"] == "ok = 3"


@pytest.mark.parametrize("step", ["nowhere", "build::impl[gamma]", "[", ""])
def test_an_unknown_step_is_refused(project: GumpProject, step: str) -> None:
    project.plan("decompose", "alpha")
    for name in ("tests", "impl"):
        project.answer(f"build::{name}[alpha]", writes={f"{name}_alpha.py": "x = 1\n"})
    project.run("plan")
    result = project.pytester.runpytest(f"--gump-from={step}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(project.folders()) == 1
    assert "Traceback" not in result.stderr.str()


def test_last_failed_reruns_ordinary_failures_and_all_steps(failed: GumpProject) -> None:
    failed.write({"test_plain.py": "def test_bad():\n    assert 0\n\ndef test_good():\n    assert 1\n"})
    failed.commit("tests")
    failed.run("three", "test_plain.py")
    failed.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    result = failed.run("three", "--lf", "test_plain.py")
    result.stdout.fnmatch_lines(["* tests * reused", "*1 failed, 2 passed, 1 deselected, 1 reused*"])


FLAG: Final = """\
name: flag
steps:
  - name: first
    agent: claude-haiku
    prompt: Begin.
    gate: ["bash: {check}"]
  - name: second
    agent: claude-haiku
    prompt: End.
    gate: [compile]
"""


def test_a_step_whose_gates_no_longer_pass_is_repeated(project: GumpProject) -> None:
    flag = project.path.parent / "flag"
    flag.touch()
    project.workflow("flag", FLAG.format(check=f"test -e {flag}"))
    project.answer("first", writes={"first.py": "x = 1\n"})
    project.answer("second", writes={"second.py": BROKEN})
    project.run("flag")
    flag.unlink()
    project.answer("first", attempt=2, writes={"first.py": "x = 2\n"})
    result = resume(project)
    result.stdout.fnmatch_lines([
        "* first * reused",
        "first: its gates no longer pass: bash: *",
        "* first * re-run: its gates no longer pass*",
    ])  # fmt: skip
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [(one.step, one.attempt) for one in project.record().attempts][2:] == [("first", 2)]
    flag.touch()
    project.answer("first", attempt=3, writes={"first.py": "x = 3\n"})
    project.answer("second", attempt=2, writes={"second.py": "x = 3\n"})
    assert resume(project).ret == pytest.ExitCode.OK
    assert project.tree(project.record().branch)["first.py"] == "x = 3"


@pytest.mark.parametrize("output", ["diff", "artifact"])
def test_a_gate_that_could_not_run_is_repeated_without_its_agent(output: str, project: GumpProject) -> None:
    tool = project.path.parent / f"{project.path.name}-checker"
    text = FLAG.format(check=f"{tool} app.py").replace("End.", "End {steps.first.output}")
    project.workflow("flag", text.replace("name: first\n", f"name: first\n    output: {output}\n"))
    given: dict[str, Any] = (
        {"writes": {"first.py": "x = 1\n"}} if output == "diff" else {"out": {"artifact.txt": "x = 1"}}
    )
    project.answer("first", **given)
    project.answer("second", writes={"second.py": "x = 1\n"})
    assert project.run("flag", "--gump-no-preflight").ret == pytest.ExitCode.TESTS_FAILED
    assert project.record().attempts[0].result.outcome == "gate_error"  # type: ignore[union-attr]
    tool.write_text("#!/bin/sh\ntest -e $1\n")
    tool.chmod(0o755)
    result = resume(project)
    result.stdout.fnmatch_lines(["* first * re-run: it failed: gate_error"])
    assert result.ret == pytest.ExitCode.OK
    record = project.record()
    assert [(one.step, one.attempt, one.agent) for one in record.attempts] == [
        ("first", 1, "claude-haiku"), ("first", 2, None), ("second", 1, "claude-haiku"),
    ]  # fmt: skip
    assert record.total.cost_usd == pytest.approx(0.02)
    assert "x = 1" in project.prompt("second")
    assert ("first.py" in project.tree(record.branch)) is (output == "diff")
    assert "Gump-Step: second" in project.git("log", "--format=%B", record.branch)


def test_a_step_that_reached_a_usage_limit_keeps_its_retries(project: GumpProject) -> None:
    project.answer("impl", outcome="quota", reason="usage limit reached", exit_code=1)
    assert project.run("retry").ret == pytest.ExitCode.TESTS_FAILED
    project.answer("impl", writes={"app.py": "value = 2\n"})
    result = resume(project)
    result.stdout.fnmatch_lines(["* impl * re-run: it reached a usage limit"])
    assert [(one.step, one.attempt) for one in project.record().attempts] == [("impl", 1), ("impl", 1)]
    assert project.record().status == "passed"
