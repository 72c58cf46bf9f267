"""Checkouts of a repository and their branches. A single checkout is read from files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.upkeep import Checkout, checkouts

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


def test_single_checkout_is_read_without_git(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project.git("checkout", "-q", "-b", "gump/some")
    repository = project.open()
    assert repository.layout
    calls = counting_git(tmp_path, monkeypatch)
    assert checkouts(repository) == [Checkout(project.root, "refs/heads/gump/some")]
    project.git("checkout", "-q", "--detach")
    calls()
    assert checkouts(repository) == [Checkout(project.root)]
    assert calls() == 0


def test_added_and_removed_checkouts_are_found(project: Project, tmp_path: Path) -> None:
    repository, other = project.open(), tmp_path / "other"
    main = Checkout(project.root, f"refs/heads/{repository.branch()}")
    project.git("worktree", "add", "-q", "-b", "topic", str(other))
    assert checkouts(repository) == [main, Checkout(other, "refs/heads/topic")]
    project.git("worktree", "remove", str(other))
    assert checkouts(repository) == [main]


def test_linked_worktree_without_a_main_one_is_found(project: Project, tmp_path: Path) -> None:
    bare, linked = tmp_path / "bare.git", tmp_path / "linked"
    project.git("clone", "-q", "--bare", ".", str(bare))
    project.git("worktree", "add", "-q", "-b", "topic", str(linked), cwd=bare)
    repository = type(project.open()).open(linked)
    assert checkouts(repository) == [Checkout(linked, "refs/heads/topic")]


def test_branch_of_a_running_bisect_is_checked_out(project: Project) -> None:
    branch = project.open().branch()
    project.commit()
    project.commit()
    project.git("bisect", "start", "HEAD", "HEAD~2")
    assert checkouts(project.open()) == [Checkout(project.root, f"refs/heads/{branch}")]


def test_head_that_is_a_symlink_is_read_by_git(project: Project) -> None:
    repository = project.open()
    branch = repository.branch()
    (project.root / ".git/HEAD").unlink()
    (project.root / ".git/HEAD").symlink_to(f"refs/heads/{branch}")
    assert checkouts(repository) == [Checkout(project.root, f"refs/heads/{branch}")]
