from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.worktrees.root import SlotRoot
from pytest_gump.system.worktrees.tenancy import Tenancy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> SlotRoot:
    return SlotRoot(tmp_path / "slots")


def is_held_by(tenancy: Tenancy) -> bool:
    return tenancy.is_ours


def is_inherited_by(tenancy: Tenancy) -> bool:
    return tenancy.is_inherited


def test_slot_is_ours_until_another_process_begins_or_inherits(root: SlotRoot) -> None:
    ours, theirs = Tenancy(root, "w1"), Tenancy(root, "w1")
    assert not is_held_by(ours)
    ours.begin()
    assert is_held_by(ours)
    assert not is_held_by(theirs)
    theirs.begin()
    assert is_held_by(theirs)
    assert not is_held_by(ours)
    ours.begin()
    theirs.inherit()
    assert not is_held_by(ours)


def test_slot_is_inherited_until_a_process_begins(root: SlotRoot) -> None:
    Tenancy(root, "w1").inherit()
    ours, theirs = Tenancy(root, "w1"), Tenancy(root, "w1")
    assert is_inherited_by(ours)
    assert Tenancy(root, "w2").is_inherited
    ours.begin()
    assert not is_inherited_by(ours)
    assert not theirs.is_inherited


def test_mark_restored_by_an_agent_is_not_ours(root: SlotRoot) -> None:
    ours, theirs = Tenancy(root, "w1"), Tenancy(root, "w1")
    mark = root.path / "w1.tenant"
    ours.begin()
    before = mark.stat()
    os.link(mark, root.path / "copy")
    theirs.begin()
    os.replace(root.path / "copy", mark)  # noqa: PTH105
    os.utime(mark, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert mark.stat().st_ino == before.st_ino
    assert not is_held_by(ours)


@pytest.mark.parametrize("act", ["remove", "folder", "link"])
def test_damaged_mark_is_replaced(root: SlotRoot, act: str, tmp_path: Path) -> None:
    tenancy, mark = Tenancy(root, "w1"), root.path / "w1.tenant"
    tenancy.begin()
    mark.unlink()
    if act == "folder":
        mark.mkdir()
    elif act == "link":
        (tmp_path / "outside").write_text("of an earlier run\n")
        mark.symlink_to(tmp_path / "outside")
    assert not is_held_by(tenancy)
    assert is_inherited_by(tenancy)
    tenancy.begin()
    assert is_held_by(tenancy)
    assert not is_inherited_by(tenancy)
    assert (tmp_path / "outside").exists() == (act == "link")
    tenancy.end()
    assert not mark.exists()
