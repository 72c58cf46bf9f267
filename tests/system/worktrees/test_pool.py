from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.run.slot_choice import SlotChoice
from pytest_gump.errors import WorktreeError
from pytest_gump.system.worktrees.pool import SlotPool, is_leased
from pytest_gump.system.worktrees.slots import Slots

from tests.system.git_project import Project, make_project

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots
pool = SlotPool(Slots(Repository.open(Path(sys.argv[1])), Path(sys.argv[2])))
print(pool.lease(), flush=True)
time.sleep(60)
"""


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slots:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    project: Project = make_project(tmp_path)
    return Slots(project.open(), tmp_path / "slots")


def hold(slots: Slots) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLD, str(slots.repository.root), str(slots.root)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_each_lease_is_a_different_slot_and_is_released_when_the_pool_closes(slots: Slots) -> None:
    first, second = SlotPool(slots), SlotPool(slots)
    assert [first.lease(), first.lease(), second.lease()] == ["w1", "w2", "w3"]
    first.close()
    assert second.lease() == "w1"
    second.close()


def test_slot_of_a_killed_process_can_be_leased_again(slots: Slots) -> None:
    pool = SlotPool(slots)
    with hold(slots) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "w1\n"
        assert pool.lease() == "w2"
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert pool.lease() == "w1"
    pool.close()


def test_slot_of_a_killed_process_is_skipped_while_another_process_runs_in_it(slots: Slots) -> None:
    slots.slot("w1").prepare(slots.repository.head())
    with hold(slots) as other:
        assert other.stdout is not None
        other.stdout.readline()
        other.kill()
        other.wait()
    pool = SlotPool(slots)
    with subprocess.Popen(["sleep", "60"], cwd=slots.root / "w1") as agent:
        assert pool.lease() == "w2"
        agent.kill()
    pool.close()
    again = SlotPool(slots)
    assert again.lease() == "w1"
    again.close()


def test_suspect_slot_is_skipped_while_another_process_runs_in_it(slots: Slots) -> None:
    slots.slot("w1").prepare(slots.repository.head())
    first = SlotPool(slots)
    assert [first.lease(), first.lease()] == ["w1", "w2"]
    first.mark_suspect("w1")
    first.close()
    pool = SlotPool(slots)
    with subprocess.Popen(["sleep", "60"], cwd=slots.root / "w1") as agent:
        assert pool.lease() == "w2"
        agent.kill()
    assert pool.lease() == "w1"
    pool.close()
    assert (slots.root / "w1.lease").read_bytes() == b""


def test_ignored_files_of_an_earlier_run_are_removed_for_the_next_one(slots: Slots) -> None:
    base = slots.repository.head()
    pool = SlotPool(slots)
    slot = slots.slot(pool.lease())
    slot.prepare(base)
    (slot.path / "__pycache__").mkdir()
    (slot.path / "__pycache__/mod.pyc").write_bytes(b"planted")
    (slot.path / "build.log").write_text("from setup\n")
    slot.accept_ignored()
    assert not slot.lacks_setup
    pool.close()
    other = Slots(slots.repository, slots.root)
    next_pool = SlotPool(other)
    again = other.slot(next_pool.lease())
    assert again.path == slot.path
    assert again.lacks_setup
    assert not again.prepare(base)
    assert sorted(path.name for path in again.path.rglob("*.pyc")) == []
    assert not (again.path / "build.log").exists()
    next_pool.close()


def test_invalid_root_folder_is_an_error(slots: Slots) -> None:
    slots.root.write_text("a file\n")
    with pytest.raises(WorktreeError, match="a link or not a folder"):
        SlotPool(slots).lease()


def test_file_system_without_locks_is_an_error(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_handle: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(WorktreeError, match=r"cannot lock a worktree in .*: No locks available") as raised:
        SlotPool(slots).lease()
    assert "gump_worktrees" in str(raised.value.hint)
    assert is_leased(slots.root / "w1.lease")


def test_slot_that_cannot_be_changed_is_skipped(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can create such a folder (chattr +i), so the error of the kernel is simulated."""
    pool = SlotPool(slots)
    slots.slot(pool.lease()).prepare(slots.repository.head())
    pool.close()
    refused = (slots.root / "w1").stat().st_ino

    def fchmod(descriptor: int, _mode: int) -> None:
        if os.fstat(descriptor).st_ino == refused:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", fchmod)
    after = SlotPool(Slots(slots.repository, slots.root))
    assert after.lease() == "w2"
    after.close()


def test_lease_file_that_cannot_be_emptied_is_released(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    def ftruncate(_descriptor: int, _length: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    pool = SlotPool(slots)
    assert pool.lease() == "w1"
    monkeypatch.setattr(os, "ftruncate", ftruncate)
    pool.close()
    assert not is_leased(slots.root / "w1.lease")


def test_lease_of_removed_slots_is_acquired_again(slots: Slots) -> None:
    pool, other = SlotPool(slots), SlotPool(Slots(slots.repository, slots.root))
    assert pool.lease() == "w1"
    shutil.rmtree(slots.root)
    assert pool.holds("w1")
    assert other.lease() == "w2"
    (slots.root / "w1.lease").unlink()
    assert pool.holds("w1")
    assert is_leased(slots.root / "w1.lease")
    other.close()
    pool.close()


def test_removed_slot_leased_by_another_session_is_not_chosen_again(slots: Slots) -> None:
    pool = SlotPool(slots)
    use = SlotChoice(pool)
    assert use.choose(None, busy=(), living=(), wanted=None) == "w1"
    shutil.rmtree(slots.root)
    with hold(slots) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "w1\n"
        assert not pool.holds("w1")
        assert [use.choose(None, busy=(), living=(), wanted=wanted) for wanted in ("w1", None)] == ["w2", "w2"]
        other.kill()
    pool.close()


def test_unleased_slot_is_not_held(slots: Slots) -> None:
    pool = SlotPool(slots)
    assert not pool.holds("w1")
    assert not (slots.root / "w1.lease").exists()
