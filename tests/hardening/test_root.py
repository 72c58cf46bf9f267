"""Tests that need root: small disks, read-only disks, folders of other users, sessions without privileges.

`make test-root` runs these tests. Other targets deselect their marker.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.hardening.plain_runs import check_session, prepare, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.testing import GumpProject

pytestmark = pytest.mark.root

NOBODY = 65534
STRANGER = 54321
"""A user id without an account."""


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    return prepare(gump_project)


@pytest.fixture
def mounted(project: GumpProject) -> Iterator[Path]:
    """Mount `.gump/runs` as a disk of 256 KiB, and return the folder."""
    runs = project.path / ".gump" / "runs"
    runs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(runs)], check=True)
    yield runs
    subprocess.run(["umount", "--lazy", str(runs)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Fill the disk until so many bytes are free."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "ballast").write_bytes(b"x" * (free - leave))


def become(uid: int) -> list[str]:
    """Return a command prefix for a user who can read everything (root's home may contain Python) and write nothing."""
    who = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    return ["setpriv", *who, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def change_owner(project: GumpProject, uid: int) -> None:
    """Make another user the owner of all files of the project."""
    for folder in (project.path, project.cassette, project.path.parent / f"{project.path.name}-cache"):
        subprocess.run(["chown", "--recursive", str(uid), str(folder)], check=True)
    for parent in project.path.parents:
        if parent.is_relative_to(tempfile.gettempdir()):  # access(2) ignores capabilities
            parent.chmod(parent.stat().st_mode | 0o011)


def check_nothing_started(project: GumpProject, done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def test_a_read_only_disk_is_an_error_before_the_run_starts(project: GumpProject, mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    done = session(project)
    check_nothing_started(project, done, "Read-only file system")
    assert list(mounted.iterdir()) == []


def test_a_full_disk_is_an_error_before_the_run_starts(project: GumpProject, mounted: Path) -> None:
    fill(mounted)
    done = session(project)
    check_nothing_started(project, done, "No space left on device")
    assert sorted(path.name for path in mounted.iterdir()) in (["ballast"], [".gitignore", "ballast"])


@pytest.mark.parametrize("left", [4096, 8192, 16384, 24576, 32768, 40960, 49152])
def test_a_disk_that_fills_up_during_the_run_is_one_error(project: GumpProject, mounted: Path, left: int) -> None:
    fill(mounted, left)
    done = session(project)
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert "No space left on device" in done.stdout + done.stderr or done.returncode == 0
    assert done.returncode in {0, 1, 4}, done.stdout + done.stderr
    for folder in project.folders():
        assert project.record().run_id == folder.run_id, "the ledger is readable"
        for attempt in project.record().attempts:
            assert attempt.result is None or attempt.result.snapshot is not None


def test_commit_and_cost_are_kept_if_output_of_an_agent_fills_the_disk(project: GumpProject, mounted: Path) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"}, says="word " * 100_000, cost_usd=0.5)
    done = session(project)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "No space left on device" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    record = project.record()
    assert record.total.cost_usd == 0.5
    assert record.status == "cancelled"
    result = record.attempts[0].result
    assert result is not None
    assert "new.py" in project.tree(str(result.snapshot))


@pytest.fixture
def failed(project: GumpProject, mounted: Path) -> GumpProject:
    """Return the project of a failed run on the small disk, with an answer for the next attempt."""
    assert mounted.is_dir()
    for attempt in (1, 2):
        project.answer("impl", attempt=attempt, writes={"app.py": "def broken(:\n"})
    assert session(project).returncode == pytest.ExitCode.TESTS_FAILED
    project.answer("impl", attempt=3, writes={"app.py": "value = 2\n", "new.py": "x = 1\n"}, cost_usd=0.25)
    return project


def continue_run(project: GumpProject, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("how", ["--gump-resume", "--gump-from=impl"])
def test_a_run_on_a_read_only_disk_can_only_be_resumed_later(failed: GumpProject, mounted: Path, how: str) -> None:
    before = failed.ledger()
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    done = continue_run(failed, how)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert "Read-only file system" in done.stderr
    status = subprocess.run(
        [sys.executable, "-m", "pytest_gump", "status"], cwd=failed.path, capture_output=True, text=True, check=True
    )
    assert " failed " in status.stdout
    assert failed.ledger() == before
    subprocess.run(["mount", "-o", "remount,rw", str(mounted)], check=True)
    assert continue_run(failed, "--gump-resume").returncode == pytest.ExitCode.OK


@pytest.mark.parametrize("left", [0, 4096, 8192, 12288, 24576])
def test_a_run_that_is_resumed_on_a_full_disk_loses_nothing(failed: GumpProject, mounted: Path, left: int) -> None:
    before = failed.ledger()
    fill(mounted, left)
    done = continue_run(failed, "--gump-resume")
    assert done.returncode in {0, 1, 4}, done.stdout + done.stderr
    assert "No space left on device" in done.stdout + done.stderr or done.returncode == 0
    assert failed.ledger()[: len(before)] == before
    (mounted / "ballast").unlink()
    if failed.record().status != "passed":
        done = continue_run(failed, "--gump-resume")
        assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    record = failed.record()
    assert record.status == "passed"
    assert failed.tree(record.branch)["new.py"] == "x = 1"
    assert record.total.cost_usd == pytest.approx(0.27)


def test_a_user_without_an_account_and_home_can_run(project: GumpProject) -> None:
    change_owner(project, STRANGER)
    done = session(project, env={"HOME": None, "XDG_CACHE_HOME": None}, user=become(STRANGER))
    as_owner(project)
    check_session(project, done)


def test_an_ordinary_user_can_run_and_apply(project: GumpProject) -> None:
    change_owner(project, NOBODY)
    done = session(project, user=become(NOBODY))
    applied = subprocess.run(
        [*become(NOBODY), sys.executable, "-m", "pytest_gump", "apply"], capture_output=True, text=True, check=False
    )
    owner = (project.path / "new.py").stat().st_uid
    as_owner(project)
    check_session(project, done)
    assert applied.returncode == 0, applied.stderr
    assert owner == NOBODY


def test_a_repository_of_another_user_is_refused_before_the_run_starts(project: GumpProject) -> None:
    change_owner(project, STRANGER)
    done = session(project)
    as_owner(project)
    check_nothing_started(project, done, "git does not trust this repository, because another user owns its folder")
    assert "safe.directory" in done.stderr
    assert project.folders() == []


def test_a_repository_of_another_user_that_is_declared_safe_can_be_used(project: GumpProject) -> None:
    change_owner(project, STRANGER)
    cache = project.path.parent / f"{project.path.name}-cache"
    subprocess.run(["chown", "--recursive", "0", str(cache)], check=True)
    home = cache / "home"
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {project.path}\n", encoding="utf-8")
    (home / ".gitconfig").chmod(0o644)
    done = session(project)
    as_owner(project)
    check_session(project, done)


@pytest.mark.parametrize(
    ("place", "message"), [(".gump", "cannot write "), (".git", "git update-ref failed: ")], ids=[".gump", ".git"]
)
def test_a_folder_without_permissions_is_an_error_before_the_run_starts(
    project: GumpProject, place: str, message: str
) -> None:
    change_owner(project, NOBODY)
    subprocess.run(["chown", "--recursive", "0", str(project.path / place)], check=True)
    if place == ".git":
        (project.path.parent / f"{project.path.name}-cache" / "home" / ".gitconfig").write_text(
            f"[safe]\n\tdirectory = {project.path}\n", encoding="utf-8"
        )
    done = session(project, user=become(NOBODY))
    as_owner(project)
    check_nothing_started(project, done, message)
    assert project.folders() == []


def test_without_a_writable_cache_worktrees_are_below_gump(project: GumpProject) -> None:
    change_owner(project, NOBODY)
    cache = project.path.parent / f"{project.path.name}-cache"
    subprocess.run(["chown", "--recursive", "0", str(cache)], check=True)
    done = session(project, user=become(NOBODY))
    as_owner(project)
    check_session(project, done)
    assert (project.path / ".gump" / "worktrees").is_dir()
    assert project.git("status", "--porcelain") == ""


def as_owner(project: GumpProject) -> None:
    """Become the owner again, so that the test can read the project with git."""
    subprocess.run(["chown", "--recursive", "0", str(project.path)], check=True)
