"""Refs that are written as files: as git would write them, and left to git wherever they are anything else."""

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


def test_a_move_is_that_of_git_and_takes_no_git_process(
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
def test_any_other_ref_is_left_to_git(
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


def test_a_ref_without_a_reflog_gets_none(project: Project, git_dir: Path, commits: tuple[str, str]) -> None:
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
