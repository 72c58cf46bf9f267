"""`gump apply` in real repositories with results of real runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from .conftest import Gump


def log(gump: Gump, *words: str) -> list[str]:
    return gump.project.git("log", "--format=%s", *words).splitlines()


def test_apply_merges_a_branch_with_one_commit_for_each_step(passed: Gump) -> None:
    before = passed.project.git("rev-parse", "HEAD")
    output = passed.good("apply")
    assert "merged run" in output
    assert "2 steps, 2 files, +2 -0 lines" in output
    assert log(passed, "--first-parent", f"{before}..") == ['Merge "What to build" (2 steps)']
    assert log(passed, f"{before}..HEAD^2") == ["second: pair on spec.md", "first: pair on spec.md"]
    assert passed.project.git("rev-parse", "HEAD^1") == before
    assert (passed.project.path / "second.py").read_text() == "second = 2\n"
    assert passed.project.git("status", "--porcelain") == ""


def test_trailers_name_the_run_and_the_steps(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.good("apply")
    of_merge = passed.project.git("log", "-1", "--format=%(trailers)")
    of_step = passed.project.git("log", "-1", "--format=%(trailers)", "HEAD^2")
    assert of_merge == f"Gump-Run: {run_id}"
    assert of_step.splitlines() == [f"Gump-Run: {run_id}", "Gump-Step: second"]


def test_squash_creates_one_ordinary_commit(passed: Gump) -> None:
    before = passed.project.git("rev-parse", "HEAD")
    assert "squashed run" in passed.good("apply", "--squash")
    assert passed.project.git("rev-list", "--parents", f"{before}..").split()[1:] == [before]
    assert log(passed, "-1") == ["What to build"]
    trailers = passed.project.git("log", "-1", "--format=%(trailers:key=Gump-Step,valueonly)")
    assert trailers.split() == ["first", "second"]


def test_an_applied_run_is_recorded_and_not_applied_again(passed: Gump) -> None:
    passed.good("apply")
    head = passed.project.git("rev-parse", "HEAD")
    assert passed.project.record().applied == head
    assert f"is already applied as {head[:10]}" in passed.bad("apply")
    errors = passed.bad("apply", passed.project.folders()[0].run_id)
    assert f"UTC, as {head[:10]}" in errors
    assert "was applied on" in errors


def test_a_run_whose_merge_was_reset_can_be_applied_by_force(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.good("apply")
    passed.project.git("reset", "--quiet", "--hard", "HEAD^1")
    assert "which is no longer here\n  hint: --force applies it again" in passed.bad("apply", run_id)
    assert "merged run" in passed.good("apply", run_id, "--force")


def test_a_dirty_checkout_is_refused_with_the_names_of_its_files(passed: Gump) -> None:
    passed.project.write({"app.py": "changed = True\n"})
    head = passed.project.git("rev-parse", "HEAD")
    errors = passed.bad("apply")
    assert errors == "gump: error: the checkout has uncommitted changes: app.py\n  hint: commit or stash them first\n"
    assert passed.project.git("rev-parse", "HEAD") == head


def test_untracked_files_in_the_way_are_named_before_any_change(passed: Gump) -> None:
    passed.project.write({"second.py": "mine = True\n"})
    head = passed.project.git("rev-parse", "HEAD")
    assert "untracked files are in the way: second.py" in passed.bad("apply")
    assert (passed.project.path / "second.py").read_text() == "mine = True\n"
    assert not (passed.project.path / "first.py").exists()
    assert passed.project.git("rev-parse", "HEAD") == head


def test_a_conflict_is_an_error_before_any_change(passed: Gump) -> None:
    passed.project.write({"second.py": "mine = True\n"})
    head = passed.project.commit("mine")
    errors = passed.bad("apply")
    assert "conflict with main: second.py; nothing was changed" in errors
    assert passed.project.git("rev-parse", "HEAD") == head
    assert passed.project.git("status", "--porcelain") == ""
    assert passed.project.record().applied is None


def test_commits_since_the_base_are_kept(passed: Gump) -> None:
    passed.project.write({"later.py": "later = 1\n"})
    passed.project.commit("later")
    passed.good("apply")
    names = passed.project.git("ls-files", "*.py").split()
    assert names == ["app.py", "first.py", "later.py", "second.py"]


def test_a_failed_run_needs_force_which_merges_only_passed_steps(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    assert "there is no run to apply: the newest" in failed.bad("apply")
    assert f"run {run_id} is failed" in failed.bad("apply", run_id)
    output = failed.good("apply", run_id, "--force")
    assert "note: the run is failed: only the steps that passed were merged" in output
    assert (failed.project.path / "first.py").exists()
    assert not (failed.project.path / "notes.txt").exists()


def test_a_run_from_a_dirty_checkout_applies_only_its_own_change(gump: Gump) -> None:
    project = gump.project
    head = project.git("rev-parse", "HEAD")
    project.write({"app.py": "one = 'mine'\ntwo = 2\nthree = 3\nfour = 4\nfive = 5\n"})
    project.answer("first", writes={"app.py": "one = 'mine'\ntwo = 2\nthree = 3\nfour = 4\nfive = 'theirs'\n"})
    project.answer("second", writes={"second.py": "second = 2\n"})
    project.run("pair", "--gump-dirty=include").assert_outcomes(passed=2)
    assert "the checkout has uncommitted changes: app.py" in gump.bad("apply")
    project.git("stash", "--quiet")
    assert "the run started from uncommitted changes: they were not merged" in gump.good("apply")
    assert project.tree("HEAD")["app.py"] == "one = 1\ntwo = 2\nthree = 3\nfour = 4\nfive = 'theirs'"
    brought = project.git("log", "-p", "--format=%s", f"{head}..")
    assert "mine" not in brought
    assert log(gump, f"{head}..HEAD^2") == ["second: pair on spec.md", "first: pair on spec.md"]
    project.git("stash", "pop", "--quiet")
    assert "+one = 'mine'" in project.git("diff")


def test_a_change_of_uncommitted_lines_applies_after_they_are_committed(gump: Gump) -> None:
    project = gump.project
    project.write({"app.py": "one = 'mine'\n"})
    project.answer("first", writes={"app.py": "one = 'mine, improved'\n"})
    project.answer("second", writes={"second.py": "second = 2\n"})
    project.run("pair", "--gump-dirty=include").assert_outcomes(passed=2)
    project.git("stash", "--quiet")
    errors = gump.bad("apply")
    assert "conflict with main: app.py" in errors
    assert "commit these, then apply again" in errors
    project.git("stash", "pop", "--quiet")
    committed = project.commit("mine")
    gump.good("apply")
    assert project.tree("HEAD")["app.py"] == "one = 'mine, improved'"
    assert project.git("merge-base", "HEAD^2", committed) == committed


def test_the_history_of_another_base_branch_is_not_merged(gump: Gump) -> None:
    project = gump.project
    project.git("switch", "--quiet", "--create", "other")
    project.write({"other.py": "other = 1\n"})
    other = project.commit("other")
    project.git("switch", "--quiet", "main")
    project.answer("first", writes={"first.py": "first = 1\n"})
    project.answer("second", writes={"second.py": "second = 2\n"})
    project.run("pair", "--gump-base=other").assert_outcomes(passed=2)
    assert "is not part of this branch: only the run's own changes were merged" in gump.good("apply")
    assert not (project.path / "other.py").exists()
    assert (project.path / "second.py").exists()
    assert other not in project.git("rev-list", "HEAD").split()


def test_a_branch_other_than_at_the_start_is_noted(passed: Gump) -> None:
    passed.project.git("switch", "--quiet", "--create", "elsewhere")
    assert "note: the run started from main, this is elsewhere" in passed.good("apply")
    assert log(passed, "-1", "main") != log(passed, "-1", "elsewhere")


def test_commits_that_someone_added_to_the_branch_are_not_merged(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.project.git("switch", "--quiet", f"gump/{run_id}")
    passed.project.write({"mine.py": "mine = 1\n"})
    passed.project.commit("mine")
    passed.project.git("switch", "--quiet", "main")
    assert "holds commits that the run did not make" in passed.good("apply")
    assert not (passed.project.path / "mine.py").exists()


def test_an_outdated_branch_of_a_killed_run_is_not_work_of_others(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.project.git("update-ref", f"refs/heads/gump/{run_id}", f"gump/{run_id}~1")
    assert "holds commits" not in passed.good("apply")
    assert (passed.project.path / "second.py").exists()


def test_a_run_without_changes_has_nothing_to_merge(gump: Gump) -> None:
    gump.project.workflow("look", "name: look\nsteps:\n  - name: look\n    agent: claude\n    output: artifact\n")
    gump.project.answer("look", out={"artifact.txt": "fine"})
    gump.project.run("look").assert_outcomes(passed=1)
    head = gump.project.git("rev-parse", "HEAD")
    assert "changed no file: nothing to merge" in gump.good("apply")
    assert gump.project.git("rev-parse", "HEAD") == head


def test_changes_that_are_already_committed_are_not_applied_again(passed: Gump) -> None:
    passed.project.git("checkout", "--quiet", f"gump/{passed.project.folders()[0].run_id}", "--", ".")
    head = passed.project.commit("by hand")
    assert "are already here" in passed.good("apply")
    assert passed.project.git("rev-parse", "HEAD") == head


def test_a_running_run_is_refused(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    process = psutil.Process()
    lines = ledger.read_text().splitlines(keepends=True)
    created = passed.project.ledger()[0]["pid_created"]
    started = lines[0].replace(str(created), str(process.create_time()))
    started = started.replace(f'"pid":{passed.project.ledger()[0]["pid"]}', f'"pid":{os.getpid()}')
    ledger.write_text(started + "".join(lines[1:-1]))
    run_id = passed.project.folders()[0].run_id
    assert f"is still running (pid {os.getpid()})" in passed.bad("apply", run_id, "--force")


@pytest.mark.parametrize("name", ["-x", "--bogus"])
def test_wrong_usage_has_exit_code_2(passed: Gump, name: str) -> None:
    assert "unrecognized arguments" in passed.bad("apply", name, code=2)


def test_newer_runs_that_did_not_pass_are_named(passed: Gump) -> None:
    older = passed.project.folders()[0].run_id
    passed.project.workflow("no", 'name: "no"\nsteps:\n  - {name: check, gate: ["bash: exit 1"]}\n')
    passed.project.run("no")
    newer = passed.project.folders()[0].run_id
    output = passed.good("apply")
    assert f"note: the newer run {newer} has status failed and is not merged" in output
    assert f"merged run {older}" in output
