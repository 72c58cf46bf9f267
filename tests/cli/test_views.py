"""`gump log`, `gump diff`, `gump status`, `gump discard`: a run as people look at it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psutil
import pytest
from jsonschema import Draft202012Validator
from pytest_gump.engine.record.ledger import Ledger
from pytest_gump.engine.reporting import status_schema

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Gump


def gump_apart(folder: Path, words: str) -> subprocess.CompletedProcess[bytes]:
    """A shell runs `gump`, as a user would."""
    command = words.replace("gump ", f"{sys.executable} -m pytest_gump ")
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)


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


def test_what_an_agent_wrote_cannot_control_the_terminal(passed: Gump) -> None:
    output = passed.good("log", "first", "--attempt", "1")
    assert "I only took notes." in output
    assert "\x1b" not in output


def test_an_unknown_step_is_answered_with_the_known_ones(passed: Gump) -> None:
    assert "its steps: first, second" in passed.bad("log", "frist", code=2)
    assert "has no attempt 9" in passed.bad("log", "first", "--attempt", "9", code=2)


def test_steps_of_plan_items_are_found_by_their_ends(gump: Gump) -> None:
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
    assert "'impl' may be any of build::impl[a], build::impl[b]" in gump.bad("log", "impl", code=2)
    assert "b.py" in gump.good("diff", "build::impl[b]", "--stat")


def test_the_diff_of_a_run_is_a_patch_that_git_takes(passed: Gump) -> None:
    patch = gump_apart(passed.project.path, "gump diff").stdout
    subprocess.run(["git", "apply", "--index"], cwd=passed.project.path, input=patch, check=True)
    assert passed.project.git("diff", "--cached", "--name-only").split() == ["first.py", "second.py"]


def test_the_diff_of_a_step_is_its_own_change(passed: Gump) -> None:
    assert passed.good("diff", "second", "--stat").splitlines()[1:] == ["added   second.py     +1"]
    assert "notes.txt" in passed.good("diff", "first", "--attempt", "1", "--stat")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "b", "c"), "a run and a step, at most, can be named"),
        (("nosuch",), "'nosuch' is neither a run nor a step of the newest run"),
        (("--attempt", "1"), "--attempt needs the step"),
    ],
)
def test_a_wrong_diff_says_what_is_wrong(passed: Gump, words: tuple[str, ...], message: str) -> None:
    assert message in passed.bad("diff", *words, code=2)


def test_status_lists_runs_with_state_and_cost(failed: Gump) -> None:
    head, row = failed.good("status").splitlines()
    assert head.split() == ["run", "workflow", "state", "step", "attempt", "cost", "time"]
    assert row.split()[1:6] == ["pair", "failed", "second", "1", "$0.02"]


def test_a_run_whose_process_is_gone_is_interrupted(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    lines = ledger.read_text().splitlines(keepends=True)
    started = re.sub(r'"pid":\d+', '"pid":99999999', lines[0])
    ledger.write_text(started + "".join(lines[1:4]))
    assert passed.good("status").splitlines()[1].split()[2:4] == ["interrupted", "first"]


def test_status_names_the_process_and_how_many_steps_are_under_way(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    attempt = next(event for event in events if event["event"] == "attempt_started")
    living = {**events[0], "pid": os.getpid(), "pid_created": psutil.Process().create_time()}
    others = [{**attempt, "step": f"step-{number}", "number": number} for number in (1, 2, 3)]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in (living, *others)))
    head, row = passed.good("status").splitlines()
    assert head.split()[-1] == "pid"
    assert re.search(rf" running +step-1 and 2 more +1 .* {os.getpid()}$", row)


def test_status_of_a_dead_run_names_what_was_cut_off_and_not_what_was_settled_last(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    started, finished, decided = (
        next(event for event in events if event["event"] == name)
        for name in ("attempt_started", "attempt_finished", "decided")
    )
    dead = {**events[0], "pid": 99999999}
    begun = [{**started, "step": f"step-{number}", "number": number} for number in (1, 2, 3, 4)]
    settled = [{**finished, "number": 4}, {**decided, "number": 4}, {**finished, "number": 3}]
    ledger.write_text("".join(json.dumps(event) + "\n" for event in (dead, *begun, *settled)))
    assert re.search(r" interrupted +step-1 and 2 more +1 ", passed.good("status").splitlines()[1])
    (told,) = json.loads(passed.good("status", "--json"))["runs"]
    assert [one["step"] for one in told["under_way"]] == ["step-1", "step-2", "step-3"]


def test_a_run_that_has_only_opened_its_ledger_is_running(passed: Gump) -> None:
    ledger = passed.project.folders()[0].ledger
    ledger.write_text("")
    assert passed.good("status").splitlines()[1].split()[1] == "interrupted"
    with closing(Ledger(ledger, time.time)):
        assert passed.good("status").splitlines()[1].split()[1] == "running"


def test_a_broken_run_does_not_hide_the_others(passed: Gump) -> None:
    folder = passed.project.folders()[0].path
    broken = folder.with_name("20990101-000000-x-0000")
    broken.mkdir()
    (broken / "run.json").write_text("{")
    output = passed.good("status")
    assert re.search(r"^20990101-000000-x-0000 +unreadable", output, re.MULTILINE)
    assert re.search(rf"^{folder.name} +pair +passed", output, re.MULTILINE)


def test_status_shows_the_newest_runs_and_how_to_see_the_older_ones(passed: Gump) -> None:
    passed.project.run("pair").assert_outcomes(passed=2)
    _, row, older = passed.good("status", "-n", "1").splitlines()
    assert row.split()[0] == passed.project.folders()[0].run_id
    assert older == "1 older run: gump status -n 2"


def test_status_without_runs_says_how_to_start_one(gump: Gump) -> None:
    assert "no runs yet; start one: gump run" in gump.good("status")


def test_status_for_machines_holds_what_its_schema_says(failed: Gump) -> None:
    folder = failed.project.folders()[0].path
    broken = folder.with_name("20990101-000000-x-0000")
    broken.mkdir()
    (broken / "run.json").write_text("{")
    data = json.loads(failed.good("status", "--json"))
    assert [*Draft202012Validator(status_schema.json_schema(strict=True)).iter_errors(data)] == []
    assert [(one["id"], one["status"], one["steps"]) for one in data["runs"]] == [
        (folder.name, "failed", {"passed": 1, "failed": 1})
    ]
    assert data["runs"][0]["cost"] == {"usd": 0.02, "provenance": "reported", "unknown_attempts": 0}
    assert [one["id"] for one in data["unreadable"]] == [broken.name]
    assert json.loads(failed.good("status", "--json", "-n", "1"))["older"] == 1


def test_status_for_machines_is_an_object_without_runs_too(gump: Gump) -> None:
    assert json.loads(gump.good("status", "--json")) == {"schema": 1, "runs": [], "unreadable": [], "older": 0}


def test_discard_removes_branch_and_refs_and_keeps_the_ledger(failed: Gump) -> None:
    run = failed.project.folders()[0]
    head = failed.project.git("rev-parse", "HEAD")
    slots = next(failed.project.path.parent.glob(f"{failed.project.path.name}-cache/gump/worktrees/*"))
    (slots / f"{run.run_id}.scratch").mkdir()  # what a killed pytest leaves behind
    output = failed.good("discard", run.run_id)
    assert not [*slots.glob(f"{run.run_id}*")]
    assert re.search(r"1 branch, \d+ snapshots?$", output, re.MULTILINE)
    assert failed.project.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert failed.project.git("rev-parse", "HEAD") == head
    assert failed.project.record().discarded
    assert "has been discarded already" in failed.good("discard", run.run_id)
    assert f"run {run.run_id} was discarded" in failed.bad("apply", run.run_id, "--force")


def test_the_branch_that_is_checked_out_is_not_discarded(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    failed.project.git("switch", "--quiet", f"gump/{run_id}")
    assert f"branch gump/{run_id} is checked out" in failed.bad("discard", run_id)
    assert not failed.project.record().discarded


def test_a_branch_that_another_checkout_has_is_not_discarded_even_by_force(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    other = failed.project.path.parent / f"{failed.project.path.name}-other"
    failed.project.git("worktree", "add", "--quiet", str(other), f"gump/{run_id}")
    for words in ((), ("--force",)):
        errors = failed.bad("discard", run_id, *words)
        assert f"branch gump/{run_id} is checked out in {other}" in errors
        assert f"git worktree remove {other}" in errors
    assert not failed.project.record().discarded
    failed.project.git("worktree", "remove", str(other))
    assert "discarded run" in failed.good("discard", run_id)


def test_commits_that_someone_added_to_the_branch_are_discarded_by_force_only(failed: Gump) -> None:
    project, run_id = failed.project, failed.project.folders()[0].run_id
    project.git("switch", "--quiet", f"gump/{run_id}")
    project.write({"mine.py": "mine = 1\n"})
    mine = project.commit("mine")
    project.git("switch", "--quiet", "main")
    errors = failed.bad("discard", run_id)
    assert "holds commits that the run did not make" in errors
    assert f"git branch NAME gump/{run_id} keeps them; --force removes them too" in errors
    assert project.git("rev-parse", f"gump/{run_id}") == mine
    assert "discarded run" in failed.good("discard", run_id, "--force")
    assert project.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_a_branch_whose_added_commits_another_branch_holds_is_discarded(failed: Gump) -> None:
    project, run_id = failed.project, failed.project.folders()[0].run_id
    project.git("switch", "--quiet", f"gump/{run_id}")
    project.write({"mine.py": "mine = 1\n"})
    mine = project.commit("mine")
    project.git("switch", "--quiet", "--create", "kept")
    assert "discarded run" in failed.good("discard", run_id)
    assert project.git("rev-parse", "kept") == mine


def test_a_branch_that_a_killed_run_left_behind_its_last_commit_is_discarded(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.project.git("update-ref", f"refs/heads/gump/{run_id}", f"gump/{run_id}~1")
    assert "discarded run" in passed.good("discard", run_id)


def test_commits_that_git_cleared_away_are_told_as_gone(passed: Gump) -> None:
    project, run_id = passed.project, passed.project.folders()[0].run_id
    head = project.git("rev-parse", f"gump/{run_id}")
    project.git("branch", "--quiet", "-D", f"gump/{run_id}")
    assert "first.py" in passed.good("diff", "--stat")
    project.git("gc", "--quiet", "--prune=now")
    assert "first.py" in passed.good("diff", "--stat")
    for ref in project.git("for-each-ref", "--format=%(refname)", f"refs/gump/{run_id}/commits").splitlines():
        project.git("update-ref", "-d", ref)
    project.git("gc", "--quiet", "--prune=now")
    for words in (("apply",), ("diff",)):
        errors = passed.bad(*words)
        assert f"commit {head[:10]} of run {run_id} is not in the repository any more: no branch held it" in errors
        assert f"git for-each-ref refs/gump/{run_id}" in errors
    assert "second.py" in passed.good("diff", "second", "--attempt", "1", "--stat")


def test_a_closed_pipe_is_no_error(passed: Gump) -> None:
    done = gump_apart(passed.project.path, "set -o pipefail; gump status | true; gump report | head -1")
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_is_ascii_where_it_must_be(passed: Gump) -> None:
    done = gump_apart(passed.project.path, "PYTHONIOENCODING=ascii gump log second")
    assert done.returncode == 0
    assert "+ touched: *.py passed" in done.stdout.decode("ascii")


@pytest.mark.parametrize("command", ["status", "report"])
def test_quick_commands_do_not_import_pytest_or_git(passed: Gump, command: str) -> None:
    check = "import sys; from pytest_gump.cli.program import main; main(sys.argv[1:]); print(sorted({'pytest', 'git'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", check, command], cwd=passed.project.path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
