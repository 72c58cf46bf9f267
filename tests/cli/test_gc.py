"""`gump gc`: what it removes, what it keeps, and how it affects running sessions."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from pytest_gump.cli.program import main
from pytest_gump.engine.maintenance.gc import Expiry, Item, collect, find_garbage
from pytest_gump.engine.maintenance.gc_remote import find_remote
from pytest_gump.engine.maintenance.gc_runs import look_at
from pytest_gump.engine.record.ledger import Ledger
from pytest_gump.engine.record.run_folder import RunFolder
from pytest_gump.errors import RunError
from pytest_gump.system import files
from pytest_gump.system.cache import hold, remote_root
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.git.runner import GitRunner
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots

from tests.kits.processes import replayed, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Gump

GONE = "20200101-000000-pair-00abcd"


def slots_of(gump: Gump) -> Path:
    return next(gump.project.path.parent.glob(f"{gump.project.path.name}-cache/gump/worktrees/*"))


def refs_of(gump: Gump, run_id: str) -> list[str]:
    found = gump.project.git("for-each-ref", "--format=%(refname)").split()
    return [ref for ref in found if run_id in ref]


def collected(gump: Gump, *words: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(gump.good("gc", "--json", *words))
    return report


def kinds(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["kind"], item["name"]) for item in report["removed"]]


def test_worktrees_that_are_not_in_use_are_removed_and_runs_are_kept(passed: Gump) -> None:
    run = passed.project.folders()[0]
    slots = slots_of(passed)
    (slots / "w1/read-only").mkdir()
    (slots / "w1/read-only/\x1b[31m \n.txt").write_text("odd")
    (slots / "w1/read-only").chmod(0o500)
    refs = refs_of(passed, run.run_id)
    output = passed.good("gc")
    assert re.search(r"removed 1 worktree: \d", output)
    assert [path.name for path in slots.iterdir()] == [".gitignore"]
    assert refs_of(passed, run.run_id) == refs
    assert run.ledger.is_file()
    assert "there was nothing to remove" in passed.good("gc")


def test_a_dry_run_lists_what_would_be_removed_and_removes_nothing(passed: Gump) -> None:
    slots = slots_of(passed)
    before = sorted(path.name for path in slots.iterdir())
    output = passed.good("gc", "--dry-run", "--older-than", "0.001s", "--force", "--keep-last", "1")
    assert re.search(r"^worktree +w1 +[0-9.]+ [KM]iB$", output, re.MULTILINE)
    assert "would remove 1 worktree: " in output
    assert sorted(path.name for path in slots.iterdir()) == before


def test_a_worktree_in_use_is_kept(passed: Gump) -> None:
    slots = Slots(Repository.open(passed.project.path), slots_of(passed))
    with closing(SlotPool(slots)) as pool:
        assert pool.lease() == "w1"
        assert "there was nothing to remove" in passed.good("gc")
        assert (slots.root / "w1").is_dir()
    assert kinds(collected(passed)) == [("worktree", "w1")]


def test_files_that_gump_set_aside_are_named_and_kept(passed: Gump) -> None:
    slots = slots_of(passed)
    (slots / ".not-ours-w1-0a1b2c3d").mkdir()
    beside = slots.with_name(f".not-ours-{slots.name}-0a1b2c3d")
    beside.write_text("of the user\n")
    output = passed.good("gc")
    assert f"kept: .not-ours-w1-0a1b2c3d in {slots}: gump did not create it" in output
    assert f"kept: {beside.name} in {slots.parent}: gump did not create it" in output
    assert (slots / ".not-ours-w1-0a1b2c3d").is_dir()
    assert beside.read_text() == "of the user\n"


def test_a_run_creates_worktrees_again_after_gc(passed: Gump) -> None:
    passed.good("gc")
    passed.project.run("pair").assert_outcomes(passed=2)
    assert (slots_of(passed) / "w1").is_dir()


def test_scratch_of_a_killed_session_is_removed_unlike_that_of_a_running_one(passed: Gump) -> None:
    run = passed.project.folders()[0]
    slots = slots_of(passed)
    mine, gone = slots / f"{run.run_id}.scratch", slots / f"{GONE}.scratch"
    for folder in (mine, gone):
        folder.mkdir()
        (folder / "stream.ndjson").write_text("{}\n")
    with closing(Ledger(run.ledger, time.time)):  # the lock shows that the run is active, on another host too
        report = json.loads(passed("gc", "--json")[1])
        assert ("scratch", gone.name) in kinds(report)
        assert [item["name"] for item in report["in_use"]] == [mine.name]
        assert mine.is_dir()
    at_work, killed = (slots / f"doctor-{pid}-0a1b2c3d.scratch" for pid in (os.getpid(), 2**30))
    at_work.mkdir()
    killed.mkdir()
    assert sorted(kinds(collected(passed))) == [("scratch", mine.name), ("scratch", killed.name)]
    assert [folder.exists() for folder in (mine, killed, at_work)] == [False, False, True]


def test_old_applied_runs_are_removed_completely(passed: Gump) -> None:
    run = passed.project.folders()[0]
    passed.good("apply")
    assert ("run", run.run_id) not in kinds(collected(passed))
    report = collected(passed, "--older-than", "14d")
    assert ("run", run.run_id) not in kinds(report)
    aged(run.ledger)
    assert ("run", run.run_id) in kinds(collected(passed, "--older-than", "14d"))
    assert [path.name for path in run.path.parent.iterdir()] == [".gitignore"]
    assert refs_of(passed, run.run_id) == []
    assert not (passed.project.path / ".git/refs/gump" / run.run_id).exists()
    assert "no runs yet" in passed.good("status")
    assert (passed.project.path / "second.py").is_file()


def aged(ledger: Path, days: float = 15) -> None:
    """Shift all events of a run by so many days into the past."""
    events = [json.loads(line) for line in ledger.read_text().splitlines()]
    for event in events:
        event["at"] -= days * 86400
    ledger.write_text("".join(json.dumps(event) + "\n" for event in events))


def test_runs_that_can_be_resumed_or_applied_are_only_removed_by_force(passed: Gump) -> None:
    project = passed.project
    project.answer("second", writes={"notes.txt": "hm\n"})
    project.run("pair")
    failed, good = project.folders()
    for run in (failed, good):
        aged(run.ledger)
    report = collected(passed, "--older-than", "2w")
    assert {kind for kind, _ in kinds(report)} == {"worktree"}
    assert {one["run"]: one["why"] for one in report["kept"]} == {
        failed.run_id: "is failed and can be resumed",
        good.run_id: "passed and was not applied",
    }
    assert ("run", good.run_id) in kinds(collected(passed, "--keep-last", "1", "--force"))
    assert [folder.run_id for folder in project.folders()] == [failed.run_id]
    assert ("run", failed.run_id) in kinds(collected(passed, "--older-than", "2w", "--force"))


def test_a_running_run_is_kept_even_with_force(passed: Gump) -> None:
    run = passed.project.folders()[0]
    events = [json.loads(line) for line in run.ledger.read_text().splitlines()]
    events[0] |= {"pid": os.getpid(), "pid_created": psutil.Process().create_time()}
    run.ledger.write_text("".join(json.dumps(event) + "\n" for event in events[:4]))
    report = collected(passed, "--older-than", "0.001s", "--force")
    assert ("run", run.run_id) not in kinds(report)
    assert report["kept"] == [] or report["kept"][0]["why"] == "is running"
    assert refs_of(passed, run.run_id)


def test_a_run_that_is_being_created_is_kept(passed: Gump) -> None:
    new = passed.project.folders()[0].path.with_name("20990101-000000-pair-00abcd")
    (new / "attempts").mkdir(parents=True)
    (slots_of(passed) / f"{new.name}.scratch").mkdir()
    collected(passed, "--keep-last", "1", "--older-than", "0.001s", "--force")
    assert (new / "attempts").is_dir()
    assert (slots_of(passed) / f"{new.name}.scratch").is_dir()
    os.utime(new, (0, 0))
    assert ("run", new.name) in kinds(collected(passed))


def test_a_run_with_attempts_and_without_a_recorded_start_is_kept(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, GONE)
    (run.attempts / "0001-first-a1").mkdir()
    os.utime(run.path, (0, 0))
    why = look_at(run, time.time()).needed(force=True)
    assert why is not None
    assert why.startswith("cannot be read; ")
    assert why.endswith(": it has files of attempts, but its start is not recorded")


def test_a_run_that_becomes_active_before_its_removal_is_kept(passed: Gump) -> None:
    run = passed.project.folders()[0]
    passed.good("apply")
    aged(run.ledger)
    with closing(Ledger(run.ledger, time.time)):
        report = collected(passed, "--older-than", "14d")
    assert [item["name"] for item in report["in_use"]] == [run.run_id]
    assert run.ledger.is_file()
    assert refs_of(passed, run.run_id)


def test_a_ledger_is_not_written_if_the_folder_of_its_run_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write the ledger"):
        Ledger(tmp_path / "gone/ledger.ndjson", time.time)


def test_refs_of_a_missing_run_are_removed_except_for_unique_commits(passed: Gump) -> None:
    project = passed.project
    head = project.git("rev-parse", "HEAD")
    lost = project.git("commit-tree", "-m", "only here", f"{head}^{{tree}}")
    project.git("update-ref", f"refs/gump/{GONE}/attempts/1-first-a1", lost)
    project.git("update-ref", f"refs/heads/gump/{GONE}", lost)
    project.git("update-ref", "refs/heads/gump/mine", head)
    (project.path / f".git/refs/gump/{GONE}/attempts/x.lock").write_text("")
    report = collected(passed)
    assert ("refs", GONE) in kinds(report)
    assert refs_of(passed, GONE) == [f"refs/heads/gump/{GONE}"]
    assert not (project.path / f".git/refs/gump/{GONE}").exists()
    assert "no other ref holds these commits" in report["kept"][0]["why"]
    assert kinds(collected(passed, "--force")) == [("refs", GONE)]
    assert refs_of(passed, "gump/") == [ref for ref in refs_of(passed, "gump/") if GONE not in ref]
    assert project.git("rev-parse", "refs/heads/gump/mine") == head


def test_runs_of_other_checkouts_of_the_repository_are_found(passed: Gump) -> None:
    project = passed.project
    run = project.folders()[0]
    other = project.path.parent / f"{project.path.name}-other"
    project.git("worktree", "add", "--quiet", "--detach", str(other))
    (other / ".gump").mkdir(exist_ok=True)
    old = run.path.with_name(GONE)
    run.path.rename(old)
    (project.path / ".gump/runs").rename(other / ".gump/runs")
    project.git("update-ref", f"refs/gump/{GONE}/attempts/1-first-a1", "HEAD")
    assert ("refs", GONE) not in kinds(collected(passed))
    (other / ".gump/runs").rename(project.path.parent / f"{project.path.name}-elsewhere")
    assert ("refs", GONE) in kinds(collected(passed))


def test_a_branch_that_is_checked_out_or_has_other_commits_is_kept(passed: Gump) -> None:
    project = passed.project
    run = project.folders()[0]
    passed.good("apply")
    aged(run.ledger)
    project.git("switch", "--quiet", f"gump/{run.run_id}")
    project.write({"mine.txt": "by hand\n"})
    project.commit("mine")
    report = collected(passed, "--older-than", "14d")
    assert "has its branch checked out in" in report["kept"][0]["why"]
    project.git("switch", "--quiet", "main")
    report = collected(passed, "--older-than", "14d")
    assert ("run", run.run_id) in kinds(report)
    assert "holds commits that the run did not make" in report["kept"][0]["why"]
    assert refs_of(passed, run.run_id) == [f"refs/heads/gump/{run.run_id}"]


def test_a_failed_removal_is_reported_and_does_not_stop_the_others() -> None:
    def fail() -> bool:
        raise PermissionError(1, "Operation not permitted", "/there/w1/kept")

    done = collect([Item("worktree", "w1", 10, fail), Item("scratch", "a.scratch", 20, lambda: True)])
    assert done.problems == ["worktree w1: cannot remove /there/w1/kept: Operation not permitted"]
    assert [item.name for item in done.removed] == ["a.scratch"]


def test_runs_are_not_disturbed_by_repeated_gc(passed: Gump) -> None:
    project, slots, over = passed.project, slots_of(passed), threading.Event()
    problems: list[str] = []

    def clear_away() -> None:
        repository = Repository.open(project.path)
        while not over.is_set():
            found = find_garbage(repository, slots, Expiry(keep_last=1, force=True), time.time())
            problems.extend(collect(found.items).problems)

    thread = threading.Thread(target=clear_away)
    thread.start()
    try:
        for _ in range(3):
            project.run("pair").assert_outcomes(passed=2)
            assert project.record().status == "passed"
    finally:
        over.set()
        thread.join()
    assert problems == []
    passed.good("apply")
    assert project.record().applied


def test_a_damaged_run_is_kept_and_named(passed: Gump) -> None:
    run = passed.project.folders()[0]
    (run.path / "run.json").write_text('{"format": 2}')
    report = collected(passed, "--keep-last", "1", "--older-than", "0.001s", "--force")
    assert report["kept"] == []
    os.utime(run.path, (0, 0))
    old = run.path.with_name(GONE)
    run.path.rename(old)
    report = collected(passed, "--older-than", "14d", "--force")
    assert "newer version" in report["kept"][0]["why"]
    assert old.is_dir()


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--keep-last", "-1", "not a whole number above zero: '-1'"),
        (
            "--older-than",
            "never",
            "not a duration: 'never'; write it like 90s, 5m or 1h30m, or 14d or 2w for days and weeks",
        ),
        ("--older-than", "0d", "an age must be longer than zero: '0d', or 14d or 2w for days and weeks"),
    ],
)
def test_an_invalid_limit_is_a_usage_error(gump: Gump, option: str, value: str, why: str) -> None:
    assert f"argument {option}: {why}\n" in gump.bad("gc", option, value, code=2)


def test_gc_keeps_files_of_a_running_session_and_those_needed_to_resume(gump: Gump) -> None:
    project = gump.project
    project.answer("first", writes={"first.py": "first = 1\n"}, exit_code=None)
    with replayed(project, "--gump-workflow=pair", "spec.md") as session:
        wait_until(lambda: [*project.path.parent.glob(f"{project.path.name}-cache/gump/worktrees/*/w1/first.py")])
        run = project.folders()[0]
        report = collected(gump, "--keep-last", "1", "--older-than", "0.001s", "--force")
        assert (report["removed"], report["problems"]) == ([], [])
        assert "running" in gump.good("status")
        session.kill()
        session.wait()
    scratch = slots_of(gump) / f"{run.run_id}.scratch"
    assert scratch.is_dir()
    wait_until(lambda: collected(gump, "--older-than", "0.001s") and not (scratch.parent / "w1").exists())
    assert gump.good("status").splitlines()[1].split()[2:4] == ["interrupted", "first"]
    assert refs_of(gump, run.run_id)
    assert scratch.is_dir(), "it contains the cost of the attempt"
    assert ("scratch", scratch.name) in kinds(collected(gump, "--force"))
    assert run.ledger.is_file()


def test_a_run_with_an_empty_ledger_is_kept_if_it_has_snapshots(passed: Gump) -> None:
    run = passed.project.folders()[0]
    run.ledger.write_text("")
    for path in run.attempts.iterdir():
        files.remove(path)
    os.utime(run.path, (0, 0))
    report = collected(passed, "--older-than", "0.001s")
    assert ("run", run.run_id) not in kinds(report)
    assert report["kept"] == [{"run": run.run_id, "why": "is interrupted and can be resumed"}]
    assert ("run", run.run_id) in kinds(collected(passed, "--older-than", "0.001s", "--force"))


def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a project on a host of remote workers, which is not a repository itself."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    home = remote_root() / "shop-0a1b2c3d"
    for name in ("project/.git/objects", "worktrees/w1", f"{GONE}.scratch"):
        (home / name).mkdir(parents=True)
    (home / "worktrees/w1/a.py").write_text("a = 1\n")
    return home


def test_files_of_remote_workers_are_removed_without_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = remote(tmp_path, monkeypatch)
    assert main(["gc", "--remote", "--dry-run"]) == 0
    assert "would remove 1 project of remote workers" in capsys.readouterr().out
    assert main(["gc", "--remote", "--older-than", "1d"]) == 0
    assert home.is_dir()
    os.utime(home, (0, 0))
    assert main(["gc", "--remote", "--older-than", "1d", "--dry-run"]) == 0
    assert "would remove 1 project of remote workers" in capsys.readouterr().out
    assert main(["gc", "--remote"]) == 0
    assert "removed 1 project of remote workers" in capsys.readouterr().out
    assert [*remote_root().iterdir()] == []


def test_files_that_a_remote_worker_uses_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = remote(tmp_path, monkeypatch)
    handle = hold(home)
    assert find_remote(remote_root(), None, time.time()).items == []
    os.close(handle)
    (item,) = find_remote(remote_root(), None, time.time()).items
    handle = hold(home)
    assert collect([item]).used == [item]
    os.close(handle)
    assert collect([item]).removed == [item]
    os.close(hold(home))  # the next worker creates it again


def test_limits_on_runs_cannot_be_combined_with_remote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remote(tmp_path, monkeypatch)
    assert main(["gc", "--remote", "--keep-last", "3"]) == 2
    assert "--remote cannot be combined" in capsys.readouterr().err


# -- branches ----------------------------------------------------------------------------------------------------


def test_the_branch_of_an_applied_run_is_removed_and_its_snapshots_are_kept(passed: Gump) -> None:
    project = passed.project
    run = project.folders()[0]
    assert "branch" not in dict(kinds(collected(passed)))
    passed.good("apply", "--squash")
    project.git("switch", "--quiet", f"gump/{run.run_id}")
    assert ("branch", run.run_id) not in kinds(collected(passed))
    project.git("switch", "--quiet", "main")
    assert ("branch", run.run_id) in kinds(collected(passed, "--dry-run"))
    assert ("branch", run.run_id) in kinds(collected(passed))
    left = refs_of(passed, run.run_id)
    assert left
    assert not [ref for ref in left if ref.startswith("refs/heads/")]
    assert "first.py" in passed.good("diff", "--stat")
    assert kinds(collected(passed)) == []


def test_gc_starts_git_only_for_runs_with_branches(passed: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    project = passed.project
    passed.good("apply")
    original = project.folders()[0]
    for number in range(20):
        older = original.path.with_name(f"20200101-{number:06d}-pair-{number:06x}")
        older.mkdir()
        for name in ("run.json", "ledger.ndjson"):
            text = (original.path / name).read_text()
            (older / name).write_text(text.replace(original.run_id, older.name))
    asked: list[tuple[str, ...]] = []
    run = GitRunner.run

    def noting(git: GitRunner, *words: str, **rest: Any) -> Any:
        asked.append(words)
        return run(git, *words, **rest)

    monkeypatch.setattr(GitRunner, "run", noting)
    assert ("branch", original.run_id) in kinds(collected(passed, "--dry-run"))
    assert len([words for words in asked if words[0] == "rev-list"]) == 1
    listed = [words[2:] for words in asked if words[0] == "for-each-ref"]
    assert listed.count((f"refs/heads/gump/{original.run_id}",)) == 1
    assert len(listed) == 3, "the other two commands list all branches and all snapshots"


def test_the_branch_of_a_run_whose_merge_was_reset_is_kept(passed: Gump) -> None:
    passed.good("apply")
    passed.project.git("reset", "--quiet", "--hard", "HEAD~1")
    assert "branch" not in dict(kinds(collected(passed)))


def with_a_moved_branch(gump: Gump) -> tuple[str, str]:
    """Resume a failed run whose branch the user has moved. Return the run's id and the user's commit."""
    project = gump.project
    project.answer("first", writes={"first.py": "first = 1\n"})
    project.answer("second", writes={"notes.txt": "no code\n"})
    project.run("pair").assert_outcomes(passed=1, failed=1)
    run_id = project.folders()[0].run_id
    mine = project.git("commit-tree", "HEAD^{tree}", "-p", f"gump/{run_id}", "-m", "mine")
    project.git("update-ref", f"refs/heads/gump/{run_id}", mine)
    project.answer("second", attempt=2, writes={"second.py": "second = 2\n"})
    replay = f"--gump-replay={project.cassette}"
    project.pytester.runpytest_inprocess("--gump-resume", replay).assert_outcomes(passed=1)
    project.git("branch", f"gump/{run_id}-7", mine)
    return run_id, mine


def test_a_branch_that_someone_moved_is_kept_after_its_run(gump: Gump) -> None:
    run_id, mine = with_a_moved_branch(gump)
    assert gump.project.record().branch == f"gump/{run_id}-2"
    gump.good("apply")
    aged(gump.project.folders()[0].ledger)
    report = collected(gump, "--older-than", "14d", "--force")
    assert ("run", run_id) in kinds(report)
    assert report["kept"] == [{"run": run_id, "why": f"its branch gump/{run_id} only: someone else has moved it"}]
    assert refs_of(gump, run_id) == [f"refs/heads/gump/{run_id}", f"refs/heads/gump/{run_id}-7"]
    assert gump.project.git("rev-parse", f"gump/{run_id}") == mine


def test_discard_keeps_a_branch_that_someone_moved(gump: Gump) -> None:
    run_id, mine = with_a_moved_branch(gump)
    output = gump.good("discard", run_id, "--force")
    assert f"branch gump/{run_id} is kept, because it was moved" in output
    assert refs_of(gump, run_id) == [f"refs/heads/gump/{run_id}", f"refs/heads/gump/{run_id}-7"]
    assert gump.project.git("rev-parse", f"gump/{run_id}") == mine


def test_numbered_branches_of_a_missing_run_are_checked_one_by_one(passed: Gump) -> None:
    project = passed.project
    lost = project.git("commit-tree", "-m", "only here", "HEAD^{tree}")
    project.git("update-ref", f"refs/heads/gump/{GONE}", "HEAD")
    project.git("update-ref", f"refs/heads/gump/{GONE}-2", lost)
    report = collected(passed)
    assert ("refs", GONE) in kinds(report)
    assert refs_of(passed, GONE) == [f"refs/heads/gump/{GONE}-2"]
