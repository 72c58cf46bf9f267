"""Refs that are written as files, in the form that git uses. Refs in another form are left to git."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git import loose_refs

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REF = "refs/heads/gump/run-1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


@pytest.fixture
def commits(project: Project) -> tuple[str, str]:
    return project.git("rev-parse", "HEAD"), project.commit("two")


@pytest.fixture
def git_dir(project: Project, commits: tuple[str, str]) -> Path:
    project.open().swap_ref(REF, commits[0], None)
    return project.root / ".git"


def points_at(project: Project) -> str:
    return project.git("rev-parse", REF)


def test_moved_ref_equals_that_of_git_and_takes_no_git_process(
    project: Project, git_dir: Path, commits: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = project.open()
    assert repository.layout == repository.layout
    calls = counting_git(tmp_path, monkeypatch)
    repository.swap_ref(REF, commits[1], commits[0])
    assert calls() == 0
    repository.objects.check("update-ref", "--no-deref", REF, commits[0], commits[1])
    assert points_at(project) == commits[0]
    ours, gits = (git_dir / "logs" / REF).read_text().splitlines()[-2:]
    assert ours.split(" ")[:4] == [*commits, "gump", "<gump@localhost>"]
    assert len(ours.split(" ")) == len(gits.split(" "))
    assert len(project.git("reflog", "show", REF).splitlines()) == 3
    assert project.git("fsck", "--strict") == ""
    assert not [*git_dir.rglob("*.lock")]


def packed(project: Project, _ref: Path) -> None:
    project.git("pack-refs", "--all")


def symbolic(_project: Project, ref: Path) -> None:
    ref.write_text("ref: refs/heads/main\n")


def linked(_project: Project, ref: Path) -> None:
    ref.rename(ref.with_name("kept"))
    ref.symlink_to("kept")


def locked(_project: Project, ref: Path) -> None:
    ref.with_name(f"{ref.name}.lock").write_text("")


def moved(project: Project, ref: Path) -> None:
    ref.write_text(f"{project.git('rev-parse', 'main')}\n")


def gone(_project: Project, ref: Path) -> None:
    ref.unlink()


@pytest.mark.parametrize("act", [packed, symbolic, linked, locked, moved, gone])
def test_ref_in_another_form_is_left_to_git(
    project: Project, git_dir: Path, commits: tuple[str, str], act: Callable[[Project, Path], None]
) -> None:
    act(project, git_dir / REF)
    main, log = project.git("rev-parse", "main"), (git_dir / "logs" / REF).read_text()
    assert not loose_refs.swap(git_dir, REF, commits[1], commits[0])
    assert (git_dir / "logs" / REF).read_text() == log
    assert (git_dir / f"{REF}.lock").exists() == (act is locked)
    if act is packed:
        project.open().swap_ref(REF, commits[1], commits[0])
        assert points_at(project) == commits[1]
    elif act is moved or act is gone:
        with pytest.raises(WorktreeError):
            project.open().swap_ref(REF, commits[1], commits[0])
    assert project.git("rev-parse", "main") == main


def test_ref_without_a_reflog_gets_none(project: Project, git_dir: Path, commits: tuple[str, str]) -> None:
    (git_dir / "logs" / REF).unlink()
    assert loose_refs.swap(git_dir, REF, commits[1], commits[0])
    assert points_at(project) == commits[1]
    assert not (git_dir / "logs" / REF).exists()


def test_shared_repositories_are_left_to_git(
    project: Project, git_dir: Path, commits: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.git("config", "core.sharedRepository", "group")
    repository = project.open()
    assert "extensions.refstorage" not in repository.layout
    calls = counting_git(tmp_path, monkeypatch)
    repository.swap_ref(REF, commits[1], commits[0])
    assert calls() == 1
    assert git_dir.joinpath(REF).read_text() == f"{commits[1]}\n"


# -- new branches ----------------------------------------------------------------------------------------------------


def test_new_branch_equals_that_of_git_and_takes_no_git_process(
    project: Project, commits: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, other = project.open().preload(), f"{REF}-of-git"
    calls = counting_git(tmp_path, monkeypatch)
    repository.swap_ref(REF, commits[0], None)
    assert calls() == 0
    repository.objects.check("update-ref", "--no-deref", other, commits[0], "")
    files = [project.root / ".git" / name for name in (REF, other)]
    logs = [project.root / ".git/logs" / name for name in (REF, other)]
    assert files[0].read_bytes() == files[1].read_bytes()
    ours, gits = (log.read_text().split(" ") for log in logs)
    assert (ours[:4], len(ours)) == (gits[:4], len(gits))
    assert [log.stat().st_mode for log in logs] == [logs[1].stat().st_mode] * 2
    assert [file.stat().st_mode for file in files] == [files[1].stat().st_mode] * 2
    assert project.git("fsck", "--strict") == ""
    repository.swap_ref(REF, commits[1], commits[0])
    assert points_at(project) == commits[1]


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("taken", [REF, "refs/heads/gump", f"{REF}/below"])
def test_existing_or_conflicting_branch_is_an_error(
    project: Project, commits: tuple[str, str], taken: str, *, is_packed: bool
) -> None:
    project.git("update-ref", taken, commits[0])
    if is_packed:
        project.git("pack-refs", "--all")
    with pytest.raises(WorktreeError, match="git update-ref failed"):
        project.open().swap_ref(REF, commits[1], None)
    assert project.git("rev-parse", taken) == commits[0]
    assert project.git("for-each-ref", "--format=%(refname)", "refs/heads/gump") == taken
    assert not [*(project.root / ".git").rglob("*.lock")]


def test_packed_branches_with_other_names_are_ignored(project: Project, commits: tuple[str, str]) -> None:
    project.git("update-ref", f"{REF}-2", commits[0])
    project.git("pack-refs", "--all")
    assert loose_refs.create(project.root / ".git", REF, commits[1])
    assert points_at(project) == commits[1]


@pytest.mark.parametrize("setting", ["false", "always", None])
def test_branch_is_left_to_git_for_other_settings_of_reflogs(
    project: Project, commits: tuple[str, str], setting: str | None
) -> None:
    project.git("config", "--unset", "core.logAllRefUpdates")
    if setting is not None:
        project.git("config", "core.logAllRefUpdates", setting)
    project.open().swap_ref(REF, commits[0], None)
    assert points_at(project) == commits[0]
    assert (project.root / ".git/logs" / REF).exists() == (setting != "false")


def test_branch_with_an_old_reflog_is_left_to_git(project: Project, commits: tuple[str, str]) -> None:
    log = project.root / ".git/logs" / REF
    log.parent.mkdir(parents=True)
    log.write_text("")
    assert not loose_refs.create(project.root / ".git", REF, commits[0])
    project.open().swap_ref(REF, commits[0], None)
    assert points_at(project) == commits[0]


# -- other effects -----------------------------------------------------------------------------------------------------


def test_move_of_a_checked_out_branch_is_in_the_reflog_of_head(
    project: Project, git_dir: Path, commits: tuple[str, str]
) -> None:
    project.git("symbolic-ref", "HEAD", REF)
    assert not loose_refs.swap(git_dir, REF, commits[1], commits[0])
    project.open().swap_ref(REF, commits[1], commits[0])
    assert (git_dir / "logs/HEAD").read_text().splitlines()[-1].startswith(f"{commits[0]} {commits[1]} gump ")


@pytest.mark.parametrize("is_new", [True, False])
def test_ctrl_c_leaves_no_lock(
    project: Project, git_dir: Path, commits: tuple[str, str], monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    def interrupt(_descriptor: int) -> None:
        assert [*git_dir.rglob("*.lock")]
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    name, old = (f"{REF}-2", None) if is_new else (REF, commits[0])
    with pytest.raises(KeyboardInterrupt):
        project.open().swap_ref(name, commits[1], old)
    assert not [*git_dir.rglob("*.lock")]
    assert points_at(project) == commits[0]
