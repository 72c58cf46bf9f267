"""The remembered state of a slot's files saves git processes and hides no change."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.worktrees.slots import Slots

from tests.system.git_project import Project, files_of, logging_git, make_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.system.worktrees.slot import Slot, Snapshot

BASE_FILES = {"app.py", "pkg/mod.py", "pkg/deep/er.py", "README", ".gitignore"}
REF = "refs/gump/run-1/attempt-1"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


def take_snapshot(slot: Slot, base: str) -> Snapshot:
    return slot.snapshot(base, "gump: attempt\n", REF)


# -- changes that keep the number of files ----------------------------------------------------------------------------


def one_gone_one_new(slot: Slot) -> None:
    (slot.path / "README").unlink()
    (slot.path / "NEW").write_text("read me\n")


def moved_into_a_kept_folder(slot: Slot) -> None:
    (slot.path / "vendor").mkdir()
    (slot.path / "README").rename(slot.path / "vendor/README")


def new_in_a_kept_folder(slot: Slot) -> None:
    (slot.path / "vendor").mkdir()
    (slot.path / "vendor/new.py").write_text("1\n")


def folder_in_place_of_a_file(slot: Slot) -> None:
    (slot.path / "README").unlink()
    (slot.path / "README").mkdir()
    (slot.path / "README/inner").write_text("1\n")


def edit_of_equal_size_and_times(slot: Slot) -> None:
    before = (slot.path / "README").stat()
    (slot.path / "README").write_text("read ME\n")
    os.utime(slot.path / "README", ns=(before.st_atime_ns, before.st_mtime_ns))


def edit_through_a_second_name(slot: Slot) -> None:
    os.link(slot.path / "README", slot.root / "second")
    (slot.root / "second").write_text("read ME\n")


def ignored_file_shown_and_one_gone(slot: Slot) -> None:
    (slot.path / "x.log").write_text("1\n")
    (slot.path / ".gitignore").write_text("build/\n")
    (slot.path / "README").unlink()


def ignored_by_the_own_repository(slot: Slot) -> None:
    (slot.path / ".git/info/exclude").write_text("*.py\n")
    (slot.path / "README").unlink()
    (slot.path / "hidden.py").write_text("1\n")


def link_in_place_of_a_file(slot: Slot) -> None:
    (slot.path / "README").unlink()
    (slot.path / "README").symlink_to("app.py")


def rights(slot: Slot) -> None:
    (slot.path / "README").chmod(0o755)


def hidden_by_flags(slot: Slot) -> None:
    for flag in ("--assume-unchanged", "--skip-worktree"):
        subprocess.run(["git", "update-index", flag, "README", "app.py"], cwd=slot.path, check=True)
    (slot.path / "README").write_text("read ME\n")
    (slot.path / "app.py").unlink()


@pytest.mark.parametrize("before", [True, False], ids=["after another snapshot", "first"])
@pytest.mark.parametrize(
    "act",
    [
        *(one_gone_one_new, moved_into_a_kept_folder, new_in_a_kept_folder, folder_in_place_of_a_file),
        *(edit_of_equal_size_and_times, edit_through_a_second_name, ignored_file_shown_and_one_gone),
        *(ignored_by_the_own_repository, link_in_place_of_a_file, rights, hidden_by_flags),
    ],
)
def test_snapshot_equals_that_of_a_new_index(
    project: Project,
    slot: Slot,
    base: str,
    act: Callable[[Slot], None],
    *,
    before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if before:
        take_snapshot(slot, base)
    act(slot)
    snapshot = take_snapshot(slot, base)
    monkeypatch.setenv("GIT_INDEX_FILE", str(project.slots_root / "fresh"))
    where = (f"--git-dir={project.root / '.git'}", f"--work-tree={slot.path}")
    project.git(*where, "add", "--all", cwd=slot.path)
    assert snapshot.tree == project.git(*where, "write-tree")
    assert snapshot.tree != project.git("rev-parse", f"{base}^{{tree}}")
    monkeypatch.delenv("GIT_INDEX_FILE")
    slot.restore(base)
    assert files_of(slot) - {"vendor/new.py", "vendor/README"} == BASE_FILES


def test_git_searches_for_new_files_only_if_there_may_be_some(
    project: Project, slot: Slot, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git_commands = logging_git(tmp_path, monkeypatch)

    def added() -> list[str]:
        take_snapshot(slot, base)
        return [words[1] for words in git_commands() if words[0] == "add"]

    assert added() == ["--update"]
    (slot.path / "app.py").write_text("new\n")
    assert added() == ["--update"]
    (slot.path / "new.py").write_text("new\n")
    assert added() == ["--all"]
    one_gone_one_new(slot)
    assert added() == ["--update", "--all"]
    project.write({"node_modules/x.js": "1\n"}, below=slot.path)
    assert added() == ["--all"]


def test_files_of_the_base_in_the_output_folder_do_not_hide_new_files(project: Project) -> None:
    """The output folder is emptied and in no snapshot, so files of the base in it remain in the index."""
    project.write({".gump/out/kept.txt": "1\n"})
    base = project.commit()
    slot = project.slot()
    slot.prepare(base)
    slot.empty_handover()
    (slot.path / "new.py").write_text("1\n")
    tree = take_snapshot(slot, base).tree
    assert {*project.git("ls-tree", "-r", "--name-only", tree).split()} == BASE_FILES | {"new.py", ".gump/out/kept.txt"}
    slot.prepare(base)
    slot.empty_handover()
    (slot.path / "x.log").write_text("1\n")
    take_snapshot(slot, base)
    assert slot.ignored_since_setup() == ["x.log"]


def test_index_of_a_slot_has_version_2_for_any_setting_of_the_user(project: Project, base: str) -> None:
    project.git("config", "index.version", "4")
    slot = project.slot()
    slot.prepare(base)
    assert (slot.path / ".git/index").read_bytes()[:8] == b"DIRC\0\0\0\2"


@pytest.mark.parametrize("name", [".gitignore", "pkg/.gitignore", ".gitattributes"])
def test_git_does_not_wait_for_a_fifo(slot: Slot, base: str, name: str) -> None:
    (slot.path / name).unlink(missing_ok=True)
    os.mkfifo(slot.path / name)
    slot.enter()
    slot.restore(base)
    assert files_of(slot) == BASE_FILES


# -- use of a slot by another process ----------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["nothing", "damage", "remove"])
def test_first_process_that_prepares_a_slot_removes_ignored_files_of_earlier_runs(
    project: Project, slot: Slot, base: str, act: str
) -> None:
    planted: dict[str, str | bytes] = {
        "node_modules/x.js": "1\n",
        "pkg/__pycache__/mod.pyc": "1\n",
        "x.log": "1\n",
        "kept/.gitignore": "*\n",
    }
    project.write(planted, below=slot.path)
    (slot.path / ".gitignore").write_text("*.log\n__pycache__/\nnode_modules/\npkg/\n")
    slot.snapshot(base, "gump: attempt\n", REF)
    Slots(project.open(), project.slots_root).slot("one").forget()  # as a lease does, in the controller
    if act == "damage":
        (slot.root / "one.tenant").write_text("mine\n")
    elif act == "remove":
        (slot.root / "one.tenant").unlink()
    worker = Slots(project.open(), project.slots_root, shared=True).slot("one")
    assert not worker.prepare(base)
    assert files_of(worker) == BASE_FILES
    project.write({"node_modules/x.js": "1\n"}, below=slot.path)
    assert not worker.prepare(base)
    assert not slot.prepare(base)  # another process of the same run keeps ignored files with a kept name
    assert files_of(worker) == BASE_FILES | {"node_modules/x.js"}
