"""Sweeps of a tree find all entries, and remembered folders hide no change."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.worktrees import sweep as module
from pytest_gump.system.worktrees.sweep import Sweeper

if TYPE_CHECKING:
    from pathlib import Path


def nothing(_path: str) -> bool:
    return False


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one").write_text("1")
    (tmp_path / "a/b/two").write_text("2")
    return tmp_path


def test_files_and_links_are_counted_and_folders_are_not(tree: Path) -> None:
    (tree / "a/link").symlink_to("one")
    found = Sweeper().sweep(str(tree), nothing)
    assert found.files == 3
    assert found.folders == {"": 1, "a": 3, "a/b": 1}


def test_special_entries_are_distinguished(tree: Path) -> None:
    (tree / "a/.git").mkdir()
    (tree / ".git").mkdir()
    os.mkfifo(tree / "a/pipe")
    (tree / "a/out").symlink_to("/etc")
    found = Sweeper().sweep(str(tree), nothing)
    assert (found.nested, found.special, found.leaving) == (["a/.git"], ["a/pipe"], ["a/out"])


def test_pruned_folders_are_reported_and_not_entered(tree: Path) -> None:
    found = Sweeper().sweep(str(tree), lambda path: path == "a/b")
    assert (found.pruned, found.files) == (["a/b"], 1)


def test_unchanged_folder_is_not_listed_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", 0)
    sweeper = Sweeper()
    time.sleep(0.02)
    first = sweeper.sweep(str(tree), nothing)
    monkeypatch.setattr(os, "scandir", None)
    assert sweeper.sweep(str(tree), nothing) == first


@pytest.mark.parametrize("settled_ns", [0, module._SETTLED_NS])
def test_every_change_of_entries_is_found(tree: Path, settled_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLED_NS", settled_ns)
    sweeper = Sweeper()
    time.sleep(0.02)
    assert sweeper.sweep(str(tree), nothing).files == 2
    (tree / "a/b/three").write_text("3")
    os.utime(tree / "a/b", (1, 1))
    assert sweeper.sweep(str(tree), nothing).files == 3
    (tree / "a/one").unlink()
    os.mkfifo(tree / "a/one")
    assert sweeper.sweep(str(tree), nothing).special == ["a/one"]


def test_link_that_leaves_the_tree_after_another_link_changed_is_found(tree: Path) -> None:
    sweeper = Sweeper()
    (tree / "via").symlink_to("a")
    (tree / "a/b/link").symlink_to("../../via/one")
    assert sweeper.sweep(str(tree), nothing).leaving == []
    (tree / "via").unlink()
    (tree / "via").symlink_to("/etc")
    assert sorted(sweeper.sweep(str(tree), nothing).leaving) == ["a/b/link", "via"]
