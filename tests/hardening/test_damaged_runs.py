"""Earlier runs with missing or damaged parts. Commands that continue them repair the damage or report it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.cli.program import main

from tests.kits import kill as kill_kit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

THREE: Final = """\
name: three
steps:
  - {name: tests, agent: claude-haiku, prompt: Test it., gate: [compile]}
  - {name: impl, agent: claude-haiku, prompt: Build it., gate: [compile]}
  - {name: quality, gate: [compile]}
"""
WAYS: Final = {
    "resume": ("--gump-resume",),
    "from": ("--gump-from=impl",),
    "lf": ("--lf", "--gump-workflow=three", "spec.md"),
}


@pytest.fixture
def project(gump_project: GumpProject, saved: Saved) -> GumpProject:
    """Return a project with a run whose second step failed, and an answer for its next attempt."""
    saved.give("to be damaged", gump_project, _fail)
    return gump_project


def _fail(project: GumpProject) -> None:
    project.write({"app.py": "value = 1\n"})
    project.workflow("three", THREE)
    project.answer("tests", writes={"test_it.py": "x = 1\n"})
    project.answer("impl", writes={"it.py": "def broken(:\n"})
    project.run("three").assert_outcomes(passed=1, failed=1, skipped=1)
    project.answer("impl", writes={"it.py": "ok = 1\n"})
    project.answer("impl", attempt=2, writes={"it.py": "ok = 1\n"})


def continue_run(project: GumpProject, way: str) -> pytest.RunResult:
    replay = [f"--gump-replay={project.cassette}"] if way == "lf" else []
    result = project.pytester.runpytest(*WAYS[way], *replay)
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    return result


def status(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["status"]) == 0
    return capsys.readouterr().out


def everything(project: GumpProject) -> dict[str, bytes | str]:
    """Return the files and refs of all runs."""
    runs = project.path / ".gump" / "runs"
    files: dict[str, bytes | str] = {str(path): path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    refs = project.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/gump", "refs/heads/gump")
    return files | dict.fromkeys(refs.splitlines(), "")


def new_format(run: Path) -> None:
    header = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(header | {"format": 2}))


def no_header(run: Path) -> None:
    (run / "run.json").write_text("{")


def no_ledger(run: Path) -> None:
    (run / "ledger.ndjson").unlink()


def rubbish(run: Path) -> None:
    lines = (run / "ledger.ndjson").read_text().splitlines(keepends=True)
    (run / "ledger.ndjson").write_text("".join([*lines[:3], "\x00rubbish\n", *lines[3:]]))


def odd_result(run: Path) -> None:
    change(run, '"usage":{', '"usage":[],"was":{')


def odd_identity(run: Path) -> None:
    change(run, '"identity":{', '"identity":"odd","was":{')


def odd_decision(run: Path) -> None:
    change(run, '"kind":"stop"', '"kind":"dance"')


def change(run: Path, old: str, new: str) -> None:
    text = (run / "ledger.ndjson").read_text()
    assert old in text
    (run / "ledger.ndjson").write_text(text.replace(old, new))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (new_format, "run.json was written by a newer version of pytest-gump"),
        (no_header, "cannot read *run.json: *"),
        (no_ledger, "cannot read the ledger *ledger.ndjson: No such file or directory"),
        (rubbish, "cannot read the ledger *ledger.ndjson: line 4 is not a valid event"),
        (odd_result, "cannot read the ledger *ledger.ndjson: *"),
        (odd_identity, "cannot read the ledger *ledger.ndjson: line 3 is not a valid event"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_an_unreadable_run_is_an_error_and_stays_unchanged(
    project: GumpProject, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], message: str, way: str
) -> None:
    damage(project.folders()[0].path)
    before = everything(project)
    result = continue_run(project, way)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{message}", "*hint: ?*"])
    assert everything(project) == before
    assert " unreadable" in status(capsys)
    assert everything(project) == before


def test_an_impossible_decision_is_an_error(project: GumpProject) -> None:
    odd_decision(project.folders()[0].path)
    for way in WAYS:
        result = continue_run(project, way)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: cannot read the decisions after attempt 1 of impl in the ledger"])


def without_slots(project: GumpProject) -> None:
    for slots in project.path.parent.glob(f"{project.path.name}-cache/gump/worktrees/*"):
        shutil.rmtree(slots)


def without_branch(project: GumpProject) -> None:
    project.git("branch", "-D", f"gump/{project.folders()[0].run_id}")


def without_attempts(project: GumpProject) -> None:
    shutil.rmtree(project.folders()[0].attempts)


def packed(project: GumpProject) -> None:
    project.git("reflog", "expire", "--expire=now", "--all")
    project.git("gc", "--quiet", "--prune=now")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("damage", [without_slots, without_branch, without_attempts, packed])
def test_repairable_damage_is_repaired_without_repeating_passed_steps(
    project: GumpProject, capsys: pytest.CaptureFixture[str], damage: Callable[[GumpProject], None], way: str
) -> None:
    damage(project)
    assert project.folders()[0].run_id in status(capsys)
    result = continue_run(project, way)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["* tests * reused", "* impl * re-run: *"])
    record = project.record()
    assert record.status == "passed"
    assert project.tree(record.branch)["it.py"] == "ok = 1"
    assert project.tree(record.branch)["test_it.py"] == "x = 1"
    assert main(["apply"]) == 0


@pytest.mark.parametrize("way", ["resume", "lf"])
def test_an_empty_ledger_is_restored_from_the_snapshots(
    project: GumpProject, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    project.folders()[0].ledger.write_bytes(b"")
    assert " interrupted " in status(capsys)
    assert continue_run(project, way).ret == pytest.ExitCode.TESTS_FAILED
    assert [(one.step, one.attempt) for one in project.record().attempts] == [("tests", 1), ("impl", 1)]
    assert project.record().total.cost_usd == pytest.approx(0.02), "the recorded cost, without new attempts"
    assert continue_run(project, way).ret == pytest.ExitCode.OK
    record = project.record()
    assert [(one.step, one.attempt) for one in record.attempts] == [
        ("tests", 1), ("impl", 1), ("impl", 2), ("quality", 1),
    ]  # fmt: skip
    assert record.total.cost_usd == pytest.approx(0.03)
    assert project.tree(record.branch)["it.py"] == "ok = 1"


def without_snapshots(project: GumpProject) -> None:
    for ref in project.git("for-each-ref", "--format=%(refname)", "refs/gump").splitlines():
        project.git("update-ref", "-d", ref)
    packed(project)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_whose_snapshot_is_missing_is_repeated(project: GumpProject, way: str) -> None:
    without_snapshots(project)
    project.answer("tests", attempt=2, writes={"test_it.py": "x = 2\n"})
    result = continue_run(project, way)
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    result.stdout.fnmatch_lines(["* tests * re-run: its commit * is gone from the repository"])
    record = project.record()
    assert record.status == "passed"
    assert project.tree(record.branch)["it.py"] == "ok = 1"
    if way != "from":
        assert project.tree(record.branch)["test_it.py"] == "x = 2"


def without_base(project: GumpProject) -> None:
    """Remove all refs to the run's commits, as if the history of main had been rewritten."""
    without_branch(project)
    project.git("checkout", "--quiet", "--orphan", "other")
    project.git("commit", "--quiet", "--message", "new")
    project.git("branch", "-D", "main")
    without_snapshots(project)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_whose_base_is_missing_is_an_error(
    project: GumpProject, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    without_base(project)
    before = everything(project)
    result = continue_run(project, way)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: run * cannot be resumed or reused: its base * is missing from the repository", "*start a new run"]
    )
    assert everything(project) == before
    assert " failed " in status(capsys)


def test_git_gc_does_not_prune_results_of_a_killed_parallel_group(project: GumpProject) -> None:
    kill_kit.prepare(project)
    killed = kill_kit.session(project, "-n0", "--gump-workflow=side", "spec.md", kill_at="controller:9")
    assert killed.returncode == -9
    passed = [one.step for one in project.record().attempts if one.verdict == "passed"]
    assert passed == ["split", "build::impl[a]"]
    kill_kit.check_dead(project)
    packed(project)
    resumed = kill_kit.session(project, "-n0", "--gump-resume")
    assert resumed.returncode == 0, resumed.stdout
    assert "gone from the repository" not in resumed.stdout
    made = [one.step for one in project.record().attempts if one.result and one.result.passed]
    assert made.count("build::impl[a]") == 1
