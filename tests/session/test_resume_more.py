"""Runs that are resumed after unusual ends and edits: paid work is not repeated, and withdrawn work is not used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.kits.commands import gump
from tests.kits.workflows import BROKEN, PLAN

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

RESTARTS: Final = """\
name: restarts
steps:
  - {name: tests, agent: claude-haiku, prompt: Test it., gate: [compile]}
  - name: impl
    agent: claude-haiku
    prompt: "Build it."
    gate: [compile]
    on_failure: {retry: 2, strategy: [same], restart_from: tests}
  - {name: last, agent: claude-haiku, prompt: Finish it., gate: [compile]}
"""


def resume(project: GumpProject, *words: str) -> pytest.RunResult:
    return project.pytester.runpytest("--gump-resume", *words)


def run_from(project: GumpProject, step: str, *words: str) -> pytest.RunResult:
    return project.pytester.runpytest(f"--gump-from={step}", *words)


def own_attempts(project: GumpProject, start: int = 0) -> list[tuple[str, int]]:
    return [(one.step, one.attempt) for one in project.record().attempts if not one.reused][start:]


def no_traceback(result: pytest.RunResult) -> None:
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


# -- from a step that restarted an earlier one -------------------------------------------------------------------


def prepare_restart(project: GumpProject) -> None:
    """Let `impl` fail, restart from `tests` once, and pass."""
    project.workflow("restarts", RESTARTS)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": BROKEN})
    project.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    project.answer("impl", attempt=2, writes={"it.py": "ok = 2\n"})


@pytest.fixture
def restarted(project: GumpProject, saved: Saved) -> GumpProject:
    """Return the project of a passed run in which `impl` restarted from `tests` once."""
    saved.give("restarted", project, _restart)
    return project


def _restart(project: GumpProject) -> None:
    prepare_restart(project)
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert project.run("restarts").ret == pytest.ExitCode.OK
    assert own_attempts(project) == [("tests", 1), ("impl", 1), ("tests", 2), ("impl", 2), ("last", 1)]


def test_a_run_from_a_step_builds_on_the_last_round_before_it(restarted: GumpProject) -> None:
    restarted.answer("impl", writes={"it.py": "ok = 3\n"})
    result = run_from(restarted, "impl")
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * re-run: requested"])
    record = restarted.record()
    assert record.status == "passed"
    tree = restarted.tree(record.branch)
    assert (tree["test_it.py"], tree["it.py"]) == ("x = 2", "ok = 3")
    assert own_attempts(restarted)[-2:] == [("impl", 1), ("last", 1)]


def test_a_run_from_a_step_after_a_restart_reuses_the_last_round(restarted: GumpProject) -> None:
    restarted.answer("last", writes={"last.py": "ok = 9\n"})
    result = run_from(restarted, "last")
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * reused", "* last * re-run: requested"])
    record = restarted.record()
    assert restarted.tree(record.branch)["test_it.py"] == "x = 2"
    assert own_attempts(restarted) == [("last", 1)]


def test_a_run_from_a_step_reuses_the_final_results_of_a_resumed_run(restarted: GumpProject) -> None:
    project = restarted
    project.workflow("three", RESTARTS.replace("name: restarts", "name: three").replace("restart_from: tests", ""))
    project.answer("impl", attempt=2, writes={"it.py": BROKEN})
    assert project.run("three").ret == pytest.ExitCode.TESTS_FAILED
    text = RESTARTS.replace("name: restarts", "name: three").replace("restart_from: tests", "")
    project.workflow("three", text.replace("Test it.", "Test it well."))
    project.answer("impl", attempt=3, writes={"it.py": "ok = 3\n"})
    assert resume(project).ret == pytest.ExitCode.OK
    project.answer("last", writes={"last.py": "ok = 9\n"})
    result = run_from(project, "last")
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * reused", "* last * re-run: requested"])
    assert own_attempts(project) == [("last", 1)]
    sessions = [one["event"] for one in project.ledger()].count("session_copied")
    assert sessions == 2, "one for each session of the origin"


def test_editing_the_restarting_step_keeps_the_results_before_it(project: GumpProject) -> None:
    prepare_restart(project)
    project.answer("last", writes={"last.py": BROKEN})
    assert project.run("restarts").ret == pytest.ExitCode.TESTS_FAILED
    project.workflow("restarts", RESTARTS.replace("Build it.", "Build it well."))
    project.answer("impl", attempt=3, writes={"it.py": BROKEN})
    project.answer("tests", attempt=3, writes={"test_it.py": "x = 3\n"})
    project.answer("impl", attempt=4, writes={"it.py": "ok = 4\n"})
    project.answer("last", attempt=2, writes={"last.py": BROKEN})
    result = resume(project)
    result.stdout.fnmatch_lines(
        ["* tests * reused", "* impl * re-run: prompt changed", "* last * re-run: it follows impl"]
    )
    assert own_attempts(project, 5) == [("impl", 3), ("tests", 3), ("impl", 4), ("last", 2)]
    project.answer("last", attempt=3, writes={"last.py": "ok = 3\n"})
    result = resume(project)
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * reused", "* last * re-run: it failed: gate_failed"])
    assert own_attempts(project, 9) == [("last", 3)]
    tree = project.tree(project.record().branch)
    assert (tree["test_it.py"], tree["it.py"], tree["last.py"]) == ("x = 3", "ok = 4", "ok = 3")


# -- from a step of a group --------------------------------------------------------------------------------------

SIDE: Final = PLAN.replace("foreach: decompose", "foreach: decompose\n    parallel: true").replace(
    "name: plan", "name: side"
)


@pytest.fixture
def side(project: GumpProject, saved: Saved) -> GumpProject:
    """Return the project of a passed run with three items of a parallel group. The session has no workers."""
    saved.give("side", project, _do_side)
    return project


def _do_side(project: GumpProject) -> None:
    project.workflow("side", SIDE)
    project.plan("decompose", "alpha", "beta", "gamma")
    for item in ("alpha", "beta", "gamma"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}.py": "x = 1\n"})
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"})
    assert project.run("side", "-n0").ret == pytest.ExitCode.OK


def test_a_run_from_a_step_of_a_parallel_item_reuses_the_other_items(side: GumpProject) -> None:
    side.answer("build::impl[beta]", writes={"beta.py": "x = 2\n"})
    result = run_from(side, "build::impl[beta]", "-n0")
    assert result.ret == pytest.ExitCode.OK
    names = {step for step, _ in own_attempts(side)}
    assert names == {"build::impl[beta]", "build::merge[beta]", "build::merge[gamma]", "quality"}
    tree = side.tree(side.record().branch)
    assert {"alpha.py", "gamma.py", "test_gamma.py"} <= {*tree}
    assert tree["beta.py"] == "x = 2"


def test_a_run_from_a_group_repeats_the_whole_group(side: GumpProject) -> None:
    result = run_from(side, "build", "-n0")
    assert result.ret == pytest.ExitCode.OK
    assert "decompose" not in {step for step, _ in own_attempts(side)}
    assert len(own_attempts(side)) == 10


def test_a_run_from_the_first_step_reuses_nothing(side: GumpProject) -> None:
    assert run_from(side, "decompose", "-n0").ret == pytest.ExitCode.OK
    assert len(own_attempts(side)) == 11


def test_a_run_from_a_step_can_be_the_origin_of_another(side: GumpProject) -> None:
    side.answer("build::impl[beta]", writes={"beta.py": "x = 2\n"})
    run_from(side, "build::impl[beta]", "-n0")
    origin = side.record().run_id
    side.answer("build::impl[gamma]", writes={"gamma.py": "x = 3\n"})
    result = run_from(side, "build::impl[gamma]", "-n0")
    assert result.ret == pytest.ExitCode.OK
    record = side.record()
    assert record.origin == origin
    tree = side.tree(record.branch)
    assert (tree["beta.py"], tree["gamma.py"]) == ("x = 2", "x = 3")
    assert {step for step, _ in own_attempts(side)} == {"build::impl[gamma]", "build::merge[gamma]", "quality"}


def test_a_step_that_the_origin_did_not_reach_is_refused(project: GumpProject) -> None:
    _fail_at_once(project)
    result = run_from(project, "last")
    no_traceback(result)
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED}


def test_a_run_can_be_applied_after_its_origin_was_removed(side: GumpProject) -> None:
    side.answer("build::impl[beta]", writes={"beta.py": "x = 2\n"})
    origin = side.record().run_id
    run_from(side, "build::impl[beta]", "-n0")
    later = side.record()
    done = gump("gc", "--force", "--keep-last", "1")
    assert done.returncode == 0, done.stderr
    assert [one.run_id for one in side.folders()] == [later.run_id] or origin not in side.git("branch")
    side.git("gc", "--prune=now", "--quiet")
    done = gump("apply", later.run_id)
    assert done.returncode == 0, done.stderr
    assert (side.path / "beta.py").read_text() == "x = 2\n"
    assert (side.path / "alpha.py").exists()


def test_a_run_from_a_dirty_base_applies_only_its_own_change(project: GumpProject) -> None:
    project.workflow("restarts", RESTARTS)
    project.write({"app.py": "value = 7\n"})
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert project.run("restarts", "--gump-dirty=include").ret == pytest.ExitCode.OK
    project.answer("last", writes={"last.py": "ok = 2\n"})
    result = run_from(project, "last")
    assert result.ret == pytest.ExitCode.OK
    project.git("checkout", "--quiet", "app.py")
    done = gump("apply", project.record().run_id)
    assert done.returncode == 0, done.stderr
    assert (project.path / "last.py").read_text() == "ok = 2\n"
    assert (project.path / "app.py").read_text() == "value = 1\n"
    subjects = project.git("log", "--format=%s", "HEAD^1..HEAD").splitlines()
    assert [one.partition(":")[0] for one in subjects if not one.startswith("Merge")] == ["last", "impl", "tests"]


# -- budgets and options -----------------------------------------------------------------------------------------


def test_a_run_with_a_spent_budget_resumes_only_with_a_higher_one(project: GumpProject) -> None:
    project.workflow("restarts", "max_budget: 0.015\n" + RESTARTS)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    result = project.run("restarts")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(["○ last * skipped: max_budget of $0.0150 is spent: $0.02"])
    before = project.ledger()
    for words in ([], ["--gump-max-budget=0.01"], ["--gump-dry-run"]):
        result = resume(project, *words)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*continue: max_budget of $0.0* is spent: $0.02", "*--gump-max-budget=USD*"])
        assert project.ledger() == before
    project.answer("impl", attempt=2, writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert resume(project, "--gump-max-budget=1").ret == pytest.ExitCode.OK
    assert project.record().total.cost_usd == pytest.approx(0.04)


def test_a_run_with_a_spent_step_budget_resumes_only_with_a_higher_one(project: GumpProject) -> None:
    text = RESTARTS.replace("Finish it.,", "Finish it., max_budget: 0.005,")
    project.workflow("restarts", text)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": BROKEN})
    assert project.run("restarts").ret == pytest.ExitCode.TESTS_FAILED
    result = resume(project)
    result.stderr.fnmatch_lines(["*cannot continue: the step's max_budget is spent: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    project.workflow("restarts", text.replace("0.005", "0.5"))
    project.answer("last", attempt=2, writes={"last.py": "ok = 1\n"})
    assert resume(project).ret == pytest.ExitCode.OK


def test_a_run_with_a_spent_budget_resumes_if_no_agent_is_needed(project: GumpProject) -> None:
    flag = project.path.parent / f"{project.path.name}-flag"
    project.workflow("restarts", f"{RESTARTS}  - {{name: check, gate: ['bash: test -e {flag}']}}\n")
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert project.run("restarts").ret == pytest.ExitCode.TESTS_FAILED
    flag.touch()
    result = resume(project, "--gump-max-budget=0.02")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert own_attempts(project, 3)[-1] == ("check", 2)


def test_options_of_a_session_apply_to_the_next_one_too(project: GumpProject) -> None:
    project.workflow("restarts", "max_budget: 0.005\n" + RESTARTS.replace(", restart_from: tests", ""))
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"it.py": BROKEN + "#" * attempt})
    project.run("restarts")
    resume(project, "--gump-max-budget=1", "--gump-agent=claude-haiku=claude-sonnet")
    before = project.record()
    assert [(one.step, one.agent) for one in before.attempts[1:]] == [
        ("tests", "claude-sonnet"), ("impl", "claude-sonnet"), ("impl", "claude-sonnet"),
    ]  # fmt: skip
    project.answer("impl", attempt=3, writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    result = resume(project)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["* tests * reused"])
    later = project.record().attempts[len(before.attempts) :]
    assert [(one.step, one.agent) for one in later] == [("impl", "claude-sonnet"), ("last", "claude-sonnet")]


@pytest.mark.parametrize(
    "options",
    [
        [], "x", {"agents": 5}, {"inputs": [5]}, {"selected": "impl"}, {"replay": ["x"]}, {"replay": {}}, {"spec": 5},
        {"max_budget": []}, {"max_budget": "much"}, {"max_budget": -1e400}, {"agents": ["-x=--y"]}, {"selected": []},
        {"spec": "../out.md"}, {"workflow": "../out.yaml"}, {"file": 7},
    ],
)  # fmt: skip
def test_a_changed_header_causes_no_traceback(project: GumpProject, saved: Saved, options: object) -> None:
    saved.give("failed at once", project, _fail_at_once)
    path = project.folders()[0].path / "run.json"
    header = json.loads(path.read_text())
    changed = {**header["options"], **options} if isinstance(options, dict) else options
    path.write_text(json.dumps({**header, "options": changed}))
    project.write({"../out.yaml": RESTARTS, "../out.md": "# Other"})
    before = project.record().total
    result = resume(project)
    no_traceback(result)
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED}
    assert project.record().total.cost_usd == before.cost_usd


def _fail_at_once(project: GumpProject) -> None:
    project.workflow("restarts", RESTARTS)
    project.answer("tests", writes={"test_it.py": BROKEN})
    project.run("restarts")


# -- hooks -------------------------------------------------------------------------------------------------------

HOOK: Final = """\
import pathlib
from pytest_gump import Retry, Stop

def pytest_gump_retry(step, path, failures):
    with pathlib.Path("../asked.txt").open("a") as file:
        file.write(f"{path} {failures[-1].attempt}\\n")
    if len(failures) == 1:
        return Retry(agent="claude-opus", worktree="reset")
    return Stop("no more", outcome="no_progress")
"""


def test_a_decision_of_a_hook_is_not_repeated_or_kept_for_later_sessions(project: GumpProject) -> None:
    project.write({"conftest.py": HOOK})
    project.workflow("restarts", RESTARTS.replace("retry: 2", "retry: 5").replace(", restart_from: tests", ""))
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    for attempt in (1, 2, 3):
        project.answer("impl", attempt=attempt, writes={"it.py": BROKEN + "#" * attempt})
    project.run("restarts")
    asked = project.path.parent / "asked.txt"
    before = asked.read_text()
    assert before == "impl 1\nimpl 2\n"
    assert [one.agent for one in project.record().attempts] == ["claude-haiku", "claude-haiku", "claude-opus"]
    assert project.record().steps["impl"].outcome == "no_progress"
    project.answer("impl", attempt=4, writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert resume(project).ret == pytest.ExitCode.OK
    assert asked.read_text() == before + "impl 3\n"
    asked.unlink()


def test_a_retry_that_the_edited_workflow_forbids_does_not_happen(project: GumpProject) -> None:
    project.workflow("restarts", RESTARTS.replace("retry: 2", "retry: 3").replace(", restart_from: tests", ""))
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    for attempt in (1, 2, 3):
        project.answer("impl", attempt=attempt, writes={"it.py": BROKEN + "#" * attempt})
    project.run("restarts")
    text = RESTARTS.replace(", restart_from: tests", "").replace("retry: 2, strategy: [same]", "retry: 1")
    project.workflow("restarts", text)
    project.answer("impl", attempt=4, writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    assert resume(project).ret == pytest.ExitCode.OK
    assert own_attempts(project)[4:] == [("impl", 4), ("last", 1)]


# -- changes by others in the meantime ---------------------------------------------------------------------------


@pytest.fixture
def stuck(project: GumpProject, saved: Saved) -> GumpProject:
    """Return the project of a run whose first step passed and whose second step failed."""
    saved.give("stuck", project, _get_stuck)
    return project


def _get_stuck(project: GumpProject) -> None:
    project.workflow("restarts", RESTARTS.replace("retry: 2, strategy: [same], restart_from: tests", "retry: 1"))
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": BROKEN})
    assert project.run("restarts").ret == pytest.ExitCode.TESTS_FAILED
    project.answer("impl", attempt=2, writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})


def check_second_branch(project: GumpProject, branch: str) -> None:
    record = project.record()
    assert (record.status, record.branch) == ("passed", f"{branch}-2")
    assert {"test_it.py", "it.py", "last.py"} <= {*project.tree(f"{branch}-2")}
    assert project.git("rev-parse", f"refs/gump/{record.run_id}/head") == record.head


def test_commits_of_the_user_on_the_branch_of_the_run_are_kept(stuck: GumpProject) -> None:
    branch = stuck.record().branch
    tree = stuck.git("write-tree")
    mine = stuck.git("commit-tree", tree, "-p", branch, "-m", "mine")
    stuck.git("update-ref", f"refs/heads/{branch}", mine)
    result = resume(stuck)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"branch {branch} was moved by someone else, to {mine[:10]}*result is on {branch}-2"])
    assert stuck.git("rev-parse", branch) == mine
    check_second_branch(stuck, branch)


def test_a_branch_that_is_checked_out_is_not_moved(stuck: GumpProject) -> None:
    branch = stuck.record().branch
    stuck.git("switch", "--quiet", branch)
    result = resume(stuck)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([f"branch {branch} is checked out in {stuck.path}*result is on {branch}-2"])
    assert stuck.git("status", "--porcelain", "--untracked-files=no") == ""
    check_second_branch(stuck, branch)


def test_a_deleted_branch_is_created_again(stuck: GumpProject) -> None:
    branch = stuck.record().branch
    stuck.git("branch", "-D", branch)
    assert resume(stuck).ret == pytest.ExitCode.OK
    assert {"test_it.py", "it.py", "last.py"} <= {*stuck.tree(branch)}


# -- plans that changed ------------------------------------------------------------------------------------------

HANDED: Final = PLAN.replace("name: plan", "name: handed", 1).replace(
    "  - name: quality\n    gate: [compile]\n",
    '  - {name: notes, agent: claude-haiku, prompt: "Note {steps.impl.files}.", gate: [compile]}\n',
)


def test_items_of_a_new_plan_replace_those_of_the_old_plan(project: GumpProject) -> None:
    project.workflow("handed", HANDED)
    project.plan("decompose", "alpha", "beta")
    for item in ("alpha", "beta", "gamma"):
        project.answer(f"build::tests[{item}]", writes={f"test_{item}.py": "x = 1\n"})
        project.answer(f"build::impl[{item}]", writes={f"{item}.py": "x = 1\n"})
    project.answer("notes", writes={"notes.py": BROKEN})
    project.run("handed")
    project.workflow("handed", HANDED.replace("Split it.", "Split it well."))
    project.plan("decompose", "gamma", attempt=2)
    project.answer("notes", attempt=2, writes={"notes.py": "ok = 1\n"})
    result = resume(project, "--junitxml=j.xml")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    record = project.record()
    assert record.status == "passed"
    tree = project.tree(record.branch)
    assert "gamma.py" in tree
    assert "alpha.py" not in tree
    prompt = project.prompt("notes", 2)
    assert "gamma.py" in prompt
    assert "alpha" not in prompt
    assert "alpha" not in (project.path / "j.xml").read_text()
    assert record.total.cost_usd == pytest.approx(0.06 + 0.04)
    assert "skipped" not in gump("status").stdout


def test_results_on_disk_that_are_not_reused_keep_numbers_and_snapshots(project: GumpProject) -> None:
    project.workflow("restarts", RESTARTS)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    project.run_apart("restarts")
    run = project.folders()[0]
    lines = run.ledger.read_text(encoding="utf-8").splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if json.loads(line)["event"] == "attempt_finished"]
    run.ledger.write_text("".join(lines[: ends[1] + 1]), encoding="utf-8")  # as if killed before the verdict on `impl`
    snapshot = project.git("rev-parse", f"refs/gump/{run.run_id}/attempts/impl-a1")
    project.workflow("restarts", RESTARTS.replace("Test it.", "Test it well."))
    project.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    project.answer("impl", attempt=2, writes={"it.py": "ok = 2\n"})
    project.answer("last", attempt=2, writes={"last.py": "ok = 2\n"})
    result = resume(project)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    first, second = ([(step, attempt) for step in ("tests", "impl", "last")] for attempt in (1, 2))
    assert own_attempts(project) == [*first, *second]  # the result of `last` was only on disk
    assert project.git("rev-parse", f"refs/gump/{run.run_id}/attempts/impl-a1") == snapshot
    assert project.tree(project.record().branch)["it.py"] == "ok = 2"
    assert project.record().total.cost_usd == pytest.approx(0.06)


# -- parallel groups ---------------------------------------------------------------------------------------------

CONFLICT: Final = """\
name: conflict
steps:
  - name: build
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: One., gate: [compile]}
      - {name: two, agent: claude-haiku, prompt: Two., gate: [compile]}
    gate: [compile]
  - {name: last, agent: claude-haiku, prompt: "Finish {steps.two.files}.", gate: [compile]}
"""


def test_a_step_whose_merge_failed_is_repeated_on_the_merged_tree(project: GumpProject) -> None:
    project.workflow("conflict", CONFLICT)
    project.answer("build::one", writes={"same.py": "x = 1\n"})
    project.answer("build::two", writes={"same.py": "x = 2\n"})
    assert project.run("conflict", "-n0").ret == pytest.ExitCode.TESTS_FAILED
    assert project.record().steps["build::merge[two]"].status == "failed"
    project.answer("build::two", attempt=2, writes={"same.py": "x = 3\n"})
    project.answer("last", writes={"last.py": "ok = 1\n"})
    result = resume(project, "-n0")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    names = [step for step, _ in own_attempts(project)][4:]
    assert "build::one" not in names
    assert names[0] == "build::two"
    assert project.tree(project.record().branch)["same.py"] == "x = 3"
    assert "same.py" in project.prompt("build::two", 2)


def test_a_failed_gate_of_a_group_is_repeated_alone(project: GumpProject) -> None:
    allowed = project.path.parent / "allowed"
    code = f"import pathlib\n\ndef allowed(step):\n    assert pathlib.Path({str(allowed)!r}).exists()\n"
    project.write({"conftest.py": code + "\ndef pytest_gump_gates():\n    return {'allowed': allowed}\n"})
    project.workflow(
        "conflict", CONFLICT.replace("    gate: [compile]\n  - {name: last", "    gate: [allowed]\n  - {name: last")
    )
    project.answer("build::one", writes={"one.py": "x = 1\n"})
    project.answer("build::two", writes={"two.py": "x = 2\n"})
    assert project.run("conflict", "-n0").ret == pytest.ExitCode.TESTS_FAILED
    before = len(own_attempts(project))
    allowed.touch()
    project.answer("last", writes={"last.py": "ok = 1\n"})
    result = resume(project, "-n0")
    allowed.unlink()
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    assert [step for step, _ in own_attempts(project)][before:] == ["build::gate", "last"]


# -- conversations -----------------------------------------------------------------------------------------------

TALK: Final = """\
name: talk
steps:
  - {name: first, agent: claude-haiku, prompt: Begin., gate: [compile]}
  - {name: second, agent: claude-haiku, prompt: Go on., session: {reuse: first}, gate: [compile]}
  - {name: third, agent: claude-haiku, prompt: End., session: {reuse: second}, gate: [compile]}
"""


def test_a_repeated_step_does_not_resume_its_old_conversation(project: GumpProject) -> None:
    project.workflow("talk", TALK)
    for name, text in (("first", "a = 1\n"), ("second", "b = 1\n")):
        project.answer(name, writes={f"{name}.py": text}, session_id=f"{name}-old")
    project.answer("third", writes={"third.py": BROKEN})
    project.run("talk")
    project.workflow("talk", TALK.replace("Go on.", "Go on well."))
    project.answer("second", attempt=2, writes={"second.py": "b = 2\n"}, session_id="second-new")
    project.answer("third", attempt=2, writes={"third.py": "c = 1\n"})
    assert resume(project).ret == pytest.ExitCode.OK
    resumed = {(one.step, one.attempt): one.session_resumed for one in project.record().attempts}
    assert resumed["second", 2]
    assert resumed["third", 2]


# -- planted results ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"made": {"base": "HEAD"}}, {"made": {"base": "--output=x", "step_base": "-"}}, {"made": {"slot": "../../x"}},
        {"step": "../../x"}, {"step": "last[x/y]"}, {"step": "[x]"}, {"attempt": -1}, {"attempt": 10**30},
        {"snapshot": "--exec=x"}, {"tree": "HEAD"}, {"session": {"cli": "replay", "id": "-x", "slot": "../w", "host": "h"}},
        {"made": {"mode": "merge"}}, {"made": {"identity": {"prompt": "x"}}}, {"timings": {"started": 1e300, "total_s": 1}},
    ],
)  # fmt: skip
def test_a_planted_result_is_ignored_and_the_ledger_stays_readable(stuck: GumpProject, changes: dict[str, Any]) -> None:
    folder = stuck.folders()[0]
    started = next(one for one in stuck.ledger() if one["event"] == "attempt_started")
    finished = next(one for one in stuck.ledger() if one["event"] == "attempt_finished")
    made_for = {name: started[name] for name in ("mode", "entry", "base", "step_base", "slot", "identity")}
    planted = {**finished["result"], "step": "last", "attempt": 7, "made": made_for, "scratch": None}
    planted = {**planted, **changes, "made": {**made_for, **changes.get("made", {})}}
    place = folder.attempts / "0099-last-a7"
    place.mkdir()
    (place / "result.json").write_text(json.dumps(planted))
    result = resume(stuck)
    no_traceback(result)
    assert result.ret in {pytest.ExitCode.OK, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED}
    assert {one.step for one in stuck.record().attempts} >= {"tests", "impl"}, "the ledger can still be read"


# -- a failed member of a parallel group -------------------------------------------------------------------------


def test_a_failed_member_stays_failed_until_the_other_members_have_ended(project: GumpProject) -> None:
    steps = "agent: claude-haiku, prompt: Do it., gate: [compile]"
    text = f"parallel: true, steps: [{{name: a, {steps}}}, {{name: b, {steps}}}]"
    project.workflow("members", f"name: members\nsteps:\n  - {{name: all, {text}}}\n")
    project.answer("all::a", writes={"a.py": BROKEN})
    project.answer("all::b", writes={"b.py": "ok = 1\n"})
    project.answer("all::a", attempt=2, writes={"a.py": "ok = 1\n"})
    assert project.run("members", "-x", "-n0").ret == 1
    result = resume(project)
    result.stdout.fnmatch_lines(["✗ all::a * failed", "→ all::b * to do", "*✓ b *", "*✗ a * failed: compile failed*"])
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    assert project.record().steps["all::a"].status == "failed"
    assert resume(project).ret == 0
    assert own_attempts(project)[-3:-1] == [("all::a", 2), ("all::merge[a]", 1)]
