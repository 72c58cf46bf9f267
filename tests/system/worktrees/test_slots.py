"""Slots that several processes use one after the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.worktrees.slots import Slots

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.worktrees.slot import Slot

REF = "refs/gump/run-1/attempt-1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


def shared(project: Project) -> Slots:
    return Slots(project.open(), project.slots_root, shared=True)


def attempt(slot: Slot, base: str) -> str:
    slot.prepare(base)
    (slot.path / "app.py").write_text("of the attempt\n")
    snapshot = slot.snapshot(base, "gump: attempt\n", REF)
    slot.restore(snapshot.commit)
    return snapshot.commit


def test_next_order_in_a_slot_starts_no_git_if_no_other_process_prepared_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = shared(project)
    commit = attempt(slots.slot("w1"), slots.repository.head())
    calls = counting_git(tmp_path, monkeypatch)
    assert not slots.slot("w1").prepare(commit)
    assert calls() == 0
    theirs = shared(project).slot("w1")
    theirs.prepare(commit)
    theirs.restore(commit)
    calls()
    assert not slots.slot("w1").prepare(commit)
    assert calls() == 1  # compares the times of the files


def test_changes_of_another_process_in_the_slot_are_undone(project: Project) -> None:
    ours, theirs = shared(project), shared(project)
    base = ours.repository.head()
    commit = attempt(ours.slot("w1"), base)
    other = theirs.slot("w1")
    other.prepare(base)
    before = (other.path / "README").stat()
    (other.path / "README").write_text("read ME\n")
    os.utime(other.path / "README", ns=(before.st_atime_ns, before.st_mtime_ns))
    (other.path / "pkg/more.py").write_text("1\n")
    (other.path / "pkg/mod.py").unlink()
    other.snapshot(base, "gump: attempt\n", REF)
    slot = ours.slot("w1")
    assert not slot.prepare(commit)
    assert (slot.path / "README").read_text() == "read me\n"
    assert (slot.path / "app.py").read_text() == "of the attempt\n"
    assert (slot.path / "pkg/mod.py").exists()
    assert not (slot.path / "pkg/more.py").exists()


def test_slot_recreated_by_another_process_is_used(project: Project) -> None:
    ours, theirs = shared(project), shared(project)
    commit = attempt(ours.slot("w1"), ours.repository.head())
    theirs.slot("w1").discard()
    assert theirs.slot("w1").prepare(theirs.repository.head())
    slot = ours.slot("w1")
    assert not slot.prepare(commit)
    assert (slot.path / "app.py").read_text() == "of the attempt\n"


def test_setup_by_another_process_is_not_repeated(project: Project) -> None:
    project.write({".gitignore": "*.log\n"})
    base, ours, theirs = project.commit(), shared(project), shared(project)
    attempt(ours.slot("w1"), base)
    other = theirs.slot("w1")
    other.prepare(base)
    (other.path / "setup.log").write_text("1\n")
    other.accept_ignored()
    slot = ours.slot("w1")
    assert not slot.prepare(base)
    assert not slot.lacks_setup
    assert (slot.path / "setup.log").exists()
