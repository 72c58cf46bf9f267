from __future__ import annotations

import contextlib
import gc
import os
import shutil
import socket
import subprocess
import tempfile
import weakref
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import WorktreeError
from pytest_gump.system.directory import Directory
from pytest_gump.system.files import Moved
from pytest_gump.system.worktrees.slots import Slots

from tests.system.git_project import Project, counting_git, files_of, make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_gump.system.worktrees.slot import Slot, Snapshot

BASE_FILES = {"app.py", "pkg/mod.py", "pkg/deep/er.py", "README", ".gitignore"}
NOBODY = 65534
REF = "refs/gump/run-1/attempt-1"
TEMPORARY = tempfile.gettempdir()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return make_project(tmp_path)


def names(project: Project, snapshot: Snapshot) -> set[str]:
    return set(project.open().list_files(snapshot.commit))


def take_snapshot(slot: Slot, base: str) -> Snapshot:
    return slot.snapshot(base, "gump: attempt\n", REF)


def test_unreferenced_slot_is_freed_at_once(project: Project, base: str) -> None:
    slot = project.slot()
    assert slot.prepare(base)
    freed = weakref.ref(slot)
    gc.disable()  # no reference cycle keeps its folder open
    try:
        del slot
        assert freed() is None
    finally:
        gc.enable()


@contextlib.contextmanager
def not_as_root(folder: Path) -> Iterator[None]:
    """If this process is root, which can read everything, become another user that owns the folder."""
    if os.geteuid() != 0:
        yield
        return
    subprocess.run(["chown", "--recursive", str(NOBODY), str(folder)], check=True)
    for parent in folder.parents:
        if parent.is_relative_to(TEMPORARY):
            parent.chmod(parent.stat().st_mode | 0o011)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        subprocess.run(["chown", "--recursive", "0", str(folder)], check=True)


# -- preparing -------------------------------------------------------------------------------------------------------


def test_slot_is_its_own_repository_at_the_commit(project: Project, slot: Slot, base: str) -> None:
    assert files_of(slot) == BASE_FILES
    assert project.git("rev-parse", "HEAD", cwd=slot.path) == base
    assert project.git("status", "--porcelain", cwd=slot.path) == ""
    assert project.git("rev-parse", "--show-toplevel", cwd=slot.path) == str(slot.path)
    assert not slot.prepare(base)


def test_prepare_restores_tracked_files_and_removes_others_except_kept_names(
    project: Project, slot: Slot, base: str
) -> None:
    project.write({"app.py": "two\n", "later/new.py": "1\n"})
    (project.root / "README").unlink()
    second = project.commit()
    project.write(
        {
            "app.py": "agent\n",
            "stray.py": "1\n",
            "stray/dir/x": "1\n",
            "x.log": "1\n",
            "build/out": "1\n",
            "build/node_modules/dep.js": "1\n",
            "pkg/__pycache__/mod.pyc": "1\n",
            "node_modules/dep/.git/HEAD": "x\n",
        },
        below=slot.path,
    )
    (slot.path / "pkg/mod.py").unlink()
    (slot.path / "empty/folder").mkdir(parents=True)
    assert not slot.prepare(second)
    kept = {"build/node_modules/dep.js", "pkg/__pycache__/mod.pyc", "node_modules/dep/.git/HEAD"}
    assert files_of(slot) == BASE_FILES - {"README"} | {"later/new.py"} | kept
    assert not (slot.path / "empty").exists()
    assert (slot.path / "app.py").read_text() == "two\n"
    slot.prepare(base)
    assert files_of(slot) == BASE_FILES | kept


def test_unusual_names_and_read_only_files_do_not_prevent_a_reset(slot: Slot, base: str) -> None:
    for name in (b"new\nline", b"\xff\xfe", b"-rf", b" lead", "ü'\"".encode(), b"*"):
        (slot.path / os.fsdecode(name)).write_text("1\n")
        (slot.path / "pkg" / os.fsdecode(name)).mkdir()
        (slot.path / "pkg" / os.fsdecode(name) / "x").write_text("1\n")
    (slot.path / "locked/in").mkdir(parents=True)
    (slot.path / "locked/in/file").write_text("1\n")
    for path in ("locked/in/file", "locked/in", "locked", "pkg"):
        (slot.path / path).chmod(0o400 if path.endswith("file") else 0o500)
    (slot.path / "app.py").chmod(0o000)
    os.mkfifo(slot.path / "fifo")
    assert not slot.prepare(base)
    assert files_of(slot) == BASE_FILES
    assert not (slot.path / "fifo").exists()
    assert os.access(slot.path / "app.py", os.R_OK)


def test_tracked_folder_replaced_by_a_link_is_restored_without_following_it(
    slot: Slot, base: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mod.py").write_text("mine\n")
    shutil.rmtree(slot.path / "pkg")
    (slot.path / "pkg").symlink_to(outside)
    assert not slot.prepare(base)
    assert (outside / "mod.py").read_text() == "mine\n"
    assert (slot.path / "pkg/mod.py").read_text() == "x = 1\n"
    assert not (slot.path / "pkg").is_symlink()


@pytest.mark.parametrize("damage", ["slot deleted", "slot is a link"])
def test_damaged_slot_is_created_again(slot: Slot, base: str, damage: str, tmp_path: Path) -> None:
    shutil.rmtree(slot.path)
    if damage == "slot is a link":
        slot.path.symlink_to(tmp_path)
    assert slot.prepare(base)
    assert files_of(slot) == BASE_FILES
    assert not slot.path.is_symlink()


@pytest.mark.parametrize("damage", ["deleted", "broken", "a link", "a folder", "another index", "flags"])
def test_changed_index_is_created_again(project: Project, slot: Slot, base: str, damage: str, tmp_path: Path) -> None:
    (index,) = (tmp_path / "tmp").glob("gump-index-*/one")
    project.write({"app.py": "agent\n", "new.py": "1\n"}, below=slot.path)
    canary = tmp_path / "canary"
    canary.write_bytes(index.read_bytes())
    if damage == "flags":
        for flag in ("--skip-worktree", "--assume-unchanged"):
            words = [
                "git",
                f"--git-dir={project.root}/.git",
                f"--work-tree={slot.path}",
                "update-index",
                flag,
                "app.py",
            ]
            subprocess.run(words, cwd=slot.path, env={**os.environ, "GIT_INDEX_FILE": str(index)}, check=True)
    else:
        index.unlink()
    if damage == "broken":
        index.write_bytes(b"DIRC broken")
    elif damage == "a link":
        index.symlink_to(canary)
    elif damage == "a folder":
        index.mkdir()
    elif damage == "another index":
        index.write_bytes(canary.read_bytes())
    before = canary.read_bytes()
    snapshot = take_snapshot(slot, base)
    assert [change.path for change in project.open().changed(base, snapshot.commit)] == ["app.py", "new.py"]
    assert canary.read_bytes() == before
    assert not slot.prepare(base)
    assert files_of(slot) == BASE_FILES


def test_stale_lock_of_a_killed_git_is_ignored(slot: Slot, base: str, tmp_path: Path) -> None:
    (index,) = (tmp_path / "tmp").glob("gump-index-*/one")
    index.with_name("one.lock").write_text("")
    (slot.path / "app.py").write_text("two\n")
    assert not slot.prepare(base)
    assert take_snapshot(slot, base).bad == ()


def test_edit_with_unchanged_times_is_undone(slot: Slot, base: str) -> None:
    file = slot.path / "app.py"
    status = file.stat()
    file.write_text("ONE\nTWO\nTHREE\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    slot.prepare(base)
    assert file.read_text() == "one\ntwo\nthree\n"


def test_git_configuration_of_the_agent_is_removed_after_its_attempt(project: Project, slot: Slot, base: str) -> None:
    project.git("config", "core.fsmonitor", "/bin/false", cwd=slot.path)
    (slot.path / ".git/hooks").mkdir()
    (slot.path / ".git/hooks/pre-commit").write_text("#!/bin/sh\nexit 1\n")
    slot.prepare(base)
    assert not (slot.path / ".git/hooks").exists()
    assert "fsmonitor" not in (slot.path / ".git/config").read_text()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".git", "a..b", "x" * 200])
def test_slot_names_cannot_contain_paths(project: Project, name: str) -> None:
    with pytest.raises(WorktreeError, match="not a valid name of a worktree slot"):
        project.slot(name)


def test_default_root_is_in_the_cache_and_depends_on_the_repository(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = project.open()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    place = Slots.default_root(repository)
    assert place.parent == tmp_path / "xdg/gump/worktrees"
    assert place.name.startswith("my-Projekt-")
    assert Slots.default_root(repository, str(tmp_path / "else")) == tmp_path / "else" / place.name
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    assert Slots.default_root(repository).is_relative_to(project.root / ".gump/worktrees")


# -- snapshots -------------------------------------------------------------------------------------------------------


def test_snapshot_has_the_agents_files_and_changes_nothing_of_the_user(project: Project, slot: Slot, base: str) -> None:
    project.write({"README": "the user's edit\n"})
    project.git("config", "commit.gpgsign", "true")
    before = project.state()
    project.write({"app.py": "new\n", "new\nfile \udcff": "1\n", "x.log": "ignored\n"}, below=slot.path)
    (slot.path / "pkg/deep/er.py").unlink()
    snapshot = take_snapshot(slot, base)
    assert names(project, snapshot) == BASE_FILES - {"pkg/deep/er.py"} | {"new\nfile \udcff"}
    assert (snapshot.problems, snapshot.bad) == ((), ())
    assert project.open().refs("refs/gump/") == {REF: snapshot.commit}
    assert project.open().tree_of(snapshot.commit) == snapshot.tree
    assert project.git("rev-parse", f"{snapshot.commit}^") == base
    assert project.state() == before


def test_snapshot_of_an_unchanged_slot_is_a_commit(slot: Slot, base: str, project: Project) -> None:
    snapshot = take_snapshot(slot, base)
    assert snapshot.tree == project.open().tree_of(base)
    assert snapshot.commit != base


def commits_itself(project: Project, slot: Slot) -> None:
    project.git("commit", "-qam", "agent", cwd=slot.path)


def switches_branch(project: Project, slot: Slot) -> None:
    project.git("checkout", "-q", "-b", "agent", cwd=slot.path)
    project.git("commit", "-qam", "agent", cwd=slot.path)
    project.git("stash", "list", cwd=slot.path)


def deletes_git(project: Project, slot: Slot) -> None:
    shutil.rmtree(slot.path / ".git")


def replaces_git_by_a_file(project: Project, slot: Slot) -> None:
    shutil.rmtree(slot.path / ".git")
    (slot.path / ".git").write_text(f"gitdir: {project.root}/.git\n")


def starts_a_new_repository(project: Project, slot: Slot) -> None:
    shutil.rmtree(slot.path / ".git")
    project.git("init", "-q", cwd=slot.path)
    project.git("add", "-A", cwd=slot.path)
    project.git("commit", "-qm", "first", cwd=slot.path)


def hides_its_change(project: Project, slot: Slot) -> None:
    project.git("update-index", "--assume-unchanged", "app.py", cwd=slot.path)
    project.git("config", "core.fileMode", "false", cwd=slot.path)
    (slot.path / ".git/info/exclude").write_text("*\n")


def pretends_a_merge(project: Project, slot: Slot) -> None:
    (slot.path / ".git/MERGE_HEAD").write_text("1" * 40)
    (slot.path / ".git/index.lock").write_text("")


@pytest.mark.parametrize(
    "act",
    [
        commits_itself,
        switches_branch,
        deletes_git,
        replaces_git_by_a_file,
        starts_a_new_repository,
        hides_its_change,
        pretends_a_merge,
    ],
)
def test_git_commands_of_the_agent_do_not_change_the_snapshot(
    project: Project, slot: Slot, base: str, act: object
) -> None:
    before = project.state()
    project.write({"app.py": "agent\n"}, below=slot.path)
    assert callable(act)
    act(project, slot)
    snapshot = take_snapshot(slot, base)
    assert [change.path for change in project.open().changed(base, snapshot.commit)] == ["app.py"]
    assert project.state() == before
    assert not slot.prepare(base)
    assert project.git("status", "--porcelain", cwd=slot.path) == ""
    assert project.git("rev-parse", "HEAD", cwd=slot.path) == base


def test_git_in_a_slot_without_git_finds_no_repository_above(
    project: Project, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = Slots(project.open(), project.root / ".gump/worktrees").slot("inner")
    slot.prepare(base)
    shutil.rmtree(slot.path / ".git")
    for name, value in slot.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match="128"):
        project.git("status", cwd=slot.path)
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("with_commit", [True, False])
@pytest.mark.parametrize("folder", ["nested", "pkg", "new/deep"])
def test_nested_repository_is_kept_as_plain_files(
    project: Project, slot: Slot, base: str, folder: str, with_commit: bool
) -> None:
    project.write({f"{folder}/inner.py": "1\n"}, below=slot.path)
    project.git("init", "-q", cwd=slot.path / folder)
    if with_commit:
        project.git("add", "inner.py", cwd=slot.path / folder)
        project.git("commit", "-qm", "inner", cwd=slot.path / folder)
    snapshot = take_snapshot(slot, base)
    assert names(project, snapshot) == BASE_FILES | {f"{folder}/inner.py"}
    assert snapshot.problems == (f"nested repositories were kept as plain files: '{folder}'",)
    assert snapshot.bad == ()


def test_fifo_and_socket_are_left_out_and_reported(slot: Slot, base: str, project: Project) -> None:
    os.mkfifo(slot.path / "pkg/pipe")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(slot.path):
        server.bind("sock")
    snapshot = take_snapshot(slot, base)
    assert snapshot.problems == ("left out 2 special files: 'sock', 'pkg/pipe'",)
    assert names(project, snapshot) == BASE_FILES
    assert not (slot.path / "pkg/pipe").exists()


def test_new_links_out_of_the_worktree_are_bad_and_others_are_not(project: Project, tmp_path: Path) -> None:
    (project.root / "old").symlink_to("/etc/hosts")
    base = project.commit()
    slot = project.slot()
    slot.prepare(base)
    links = {
        "absolute": "/etc/passwd",
        "up": "../../secret",
        "pkg/inside": "../app.py",
        "dangling": "nowhere",
        "into-git": ".git/config",
        "node_modules": "/usr/lib",
        "x.log": "/etc",
    }
    for name, target in links.items():
        (slot.path / name).symlink_to(target)
    snapshot = take_snapshot(slot, base)
    assert set(snapshot.bad) == {"absolute", "up", "into-git", "node_modules"}


def test_file_that_git_rejects_is_bad_and_the_rest_is_kept(project: Project, slot: Slot, base: str) -> None:
    project.write({"pkg/git~1": "1\n", "good.py": "1\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    assert snapshot.bad == ("pkg/git~1",)
    assert names(project, snapshot) == BASE_FILES | {"good.py"}


def test_unreadable_file_and_folder_are_bad_and_the_rest_is_kept(
    project: Project, slot: Slot, base: str, tmp_path: Path
) -> None:
    project.write({"secret": "1\n", "dir/x": "1\n", "good.py": "1\n"}, below=slot.path)
    (slot.path / "secret").chmod(0)
    (slot.path / "dir").chmod(0)
    with not_as_root(tmp_path):
        snapshot = take_snapshot(slot, base)
    assert set(snapshot.bad) == {"secret", "dir"}
    assert names(project, snapshot) == BASE_FILES | {"good.py"}


@pytest.mark.parametrize("act", ["nothing", "folder deleted", "files written", "other commit"])
def test_submodules_of_the_base_do_not_change(project: Project, tmp_path: Path, act: str) -> None:
    library = make_project(tmp_path / "library")
    project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "lib")
    base = project.commit()
    slot = project.slot()
    slot.prepare(base)
    if act == "folder deleted":
        (slot.path / "lib").rmdir()
    elif act == "files written":
        project.write({"lib/own.py": "1\n"}, below=slot.path)
    elif act == "other commit":
        project.git("init", "-q", cwd=slot.path / "lib")
        project.git("commit", "-q", "--allow-empty", "-m", "x", cwd=slot.path / "lib")
    project.write({"app.py": "new\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    assert [change.path for change in project.open().changed(base, snapshot.commit)] == ["app.py"]
    assert not slot.prepare(base)


def test_sparse_checkout_of_the_user_does_not_apply_to_slots(project: Project, base: str) -> None:
    project.git("sparse-checkout", "set", "--no-cone", "/app.py")
    before = project.state()
    slot = project.slot()
    slot.prepare(base)
    assert files_of(slot) == BASE_FILES
    assert take_snapshot(slot, base).tree == project.open().tree_of(base)
    assert project.state() == before
    assert not (project.root / "README").exists()


def test_line_ending_settings_of_the_user_cause_no_changes(project: Project) -> None:
    project.git("config", "core.autocrlf", "true")
    project.git("config", "core.safecrlf", "true")
    base = project.git("rev-parse", "HEAD")
    slot = project.slot()
    slot.prepare(base)
    assert project.git("status", "--porcelain", cwd=slot.path) == ""
    assert take_snapshot(slot, base).tree == project.open().tree_of(base)


def test_large_text_file_does_not_fill_the_memory(project: Project, slot: Slot, base: str) -> None:
    with (slot.path / "big.txt").open("wb") as file:
        for _ in range(100):
            file.write(b"0123456789abcde\n" * 65536)
    snapshot = take_snapshot(slot, base)
    change = project.open().changed(base, snapshot.commit)[0]
    assert (change.path, change.added) == ("big.txt", None)


# -- gates see exactly the tree that is kept --------------------------------------------------------------------------


def test_ignored_files_are_removed_before_gates_except_kept_names(project: Project, slot: Slot, base: str) -> None:
    project.write({"x.log": "1", "build/lib/a": "1", "node_modules/d/i.js": "1", "new.py": "1\n"}, below=slot.path)
    take_snapshot(slot, base)
    assert sorted(slot.remove_ignored(slot.keep)) == ["build", "x.log"]
    assert files_of(slot) == BASE_FILES | {"node_modules/d/i.js", "new.py"}
    assert slot.remove_ignored(keep=()) == ["node_modules"]


def test_folder_that_ignores_itself_is_removed_before_the_next_run(project: Project, slot: Slot, base: str) -> None:
    project.write({".pytest_cache/.gitignore": "*\n", ".pytest_cache/v/a": "1"}, below=slot.path)
    slot.forget()
    slot.prepare(base)
    assert not (slot.path / ".pytest_cache").exists()


def test_folder_that_ignores_itself_is_removed_before_gates(project: Project, slot: Slot, base: str) -> None:
    """pytest writes `.gitignore` only if it creates the folder. Otherwise, its files would be changes of the agent."""
    project.write({".pytest_cache/.gitignore": "*\n", ".pytest_cache/v/a": "1"}, below=slot.path)
    take_snapshot(slot, base)
    assert slot.remove_ignored(())
    assert not (slot.path / ".pytest_cache").exists()


@pytest.mark.parametrize("path", [".pytest_cache/v/nodeids", "target/debug/app", "vendor/pkg/__pycache__/a.pyc"])
def test_files_of_gates_under_a_kept_name_are_not_in_the_next_snapshot(
    project: Project, slot: Slot, base: str, path: str
) -> None:
    project.write({"app.py": "new\n"}, below=slot.path)
    commit = take_snapshot(slot, base).commit
    slot.remove_ignored(())
    slot.enter()
    project.write({path: "written by a gate\n"}, below=slot.path)
    slot.restore(commit)
    slot.prepare(commit)
    assert take_snapshot(slot, commit).tree == project.git("rev-parse", f"{commit}^{{tree}}")


def test_ignored_files_made_by_setup_are_kept(project: Project, slot: Slot, base: str) -> None:
    project.write({"build/generated.c": "1"}, below=slot.path)
    slot.accept_ignored()
    project.write({"x.log": "1"}, below=slot.path)
    assert slot.remove_ignored(slot.keep) == ["x.log"]
    slot.prepare(base)
    assert (slot.path / "build/generated.c").exists()


def test_slot_is_restored_to_the_snapshot_after_gates(project: Project, slot: Slot, base: str) -> None:
    project.write({"new.py": "1\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    project.write({"new.py": "gate\n", "report.xml": "1", "x.log": "1", "deep/er/x": "1"}, below=slot.path)
    (slot.path / "app.py").unlink()
    slot.restore(snapshot.commit)
    assert files_of(slot) == BASE_FILES | {"new.py"}
    assert (slot.path / "new.py").read_text() == "1\n"


def test_next_attempt_can_start_from_the_last_snapshot(project: Project, slot: Slot, base: str) -> None:
    project.write({"new.py": "1\n"}, below=slot.path)
    first = take_snapshot(slot, base)
    slot.prepare(first.commit)
    assert files_of(slot) == BASE_FILES | {"new.py"}
    assert project.git("rev-parse", "HEAD", cwd=slot.path) == first.commit


# -- output files ----------------------------------------------------------------------------------------------------


def test_output_file_is_read_and_in_no_snapshot(project: Project, slot: Slot, base: str) -> None:
    slot.empty_handover()
    project.write({".gump/out/plan.json": "[]", ".gump/out/sub/x": "1"}, below=slot.path)
    assert project.git("status", "--porcelain", cwd=slot.path) == ""
    assert slot.read_handover("plan.json", 100) == b"[]"
    assert slot.read_handover("none.json", 100) is None
    assert names(project, take_snapshot(slot, base)) == BASE_FILES


def test_output_files_are_moved_without_links_and_fifos(slot: Slot, tmp_path: Path) -> None:
    slot.empty_handover()
    out = slot.path / ".gump/out"
    (out / "sub").mkdir()
    (out / "sub/a.md").write_text("a")
    (out / "link").symlink_to("/etc/passwd")
    os.mkfifo(out / "fifo")
    (tmp_path / "taken").mkdir()
    assert slot.take_handover(Directory.open(tmp_path / "taken")) == Moved(dropped=["fifo", "link"])
    assert [path.name for path in (tmp_path / "taken").rglob("*")] == ["sub", "a.md"]
    assert not (slot.path / ".gump").exists()


@pytest.mark.parametrize(
    "name", ["link", "folder", "fifo", "big", "../../app.py", "/etc/passwd", "", "a\0b", "dirlink/x"]
)
def test_invalid_output_file_is_rejected(slot: Slot, name: str) -> None:
    slot.empty_handover()
    out = slot.path / ".gump/out"
    (out / "link").symlink_to("../../app.py")
    (out / "dirlink").symlink_to("../../pkg")
    (out / "folder").mkdir()
    os.mkfifo(out / "fifo")
    (out / "big").write_text("x" * 200)
    with pytest.raises(WorktreeError):
        slot.read_handover(name, 100)


@pytest.mark.parametrize("link", [".gump", ".gump/out"])
def test_output_folder_that_is_a_link_is_not_followed(slot: Slot, link: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "out").mkdir(parents=True)
    (outside / "plan.json").write_text("secret")
    (outside / "out/plan.json").write_text("secret")
    if "/" in link:
        (slot.path / ".gump").mkdir()
    (slot.path / link).symlink_to(outside)
    with pytest.raises(WorktreeError):
        slot.read_handover("plan.json", 100)
    (tmp_path / "taken").mkdir()
    slot.take_handover(Directory.open(tmp_path / "taken"))
    assert list((tmp_path / "taken").iterdir()) == []
    slot.empty_handover()
    assert (outside / "plan.json").exists()
    assert (outside / "out/plan.json").exists()
    assert list((slot.path / ".gump/out").iterdir()) == []


@pytest.fixture
def git_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    return counting_git(tmp_path, monkeypatch)


def test_gates_after_an_attempt_without_changes_take_two_git_processes(
    project: Project, slot: Slot, base: str, git_calls: Callable[[], int]
) -> None:
    for path in files_of(slot):  # git reads files that are not older than its index
        os.utime(slot.path / path, (1e9, 1e9))
    take_snapshot(slot, base)
    git_calls()
    snapshot = take_snapshot(slot, base)
    assert slot.ignored_since_setup() == []
    assert slot.remove_ignored(()) == []
    slot.remove_bytecode()
    slot.restore(snapshot.commit)
    slot.prepare(base)
    assert git_calls() == 2


@pytest.mark.parametrize("folder", [".venv", "pkg/node_modules"])
def test_file_in_a_kept_folder_is_removed_if_nothing_is_kept(project: Project, tmp_path: Path, folder: str) -> None:
    project.write({".gitignore": "/.venv/\nnode_modules/\n", "pkg/a.py": "1\n"})
    base, slot = project.commit(), project.slot()
    slot.prepare(base)
    project.write({f"{folder}/planted.py": "1\n"}, below=slot.path)
    take_snapshot(slot, base)
    assert slot.ignored_since_setup() == []
    assert slot.remove_ignored(()) == [folder]
    assert not (slot.path / folder).exists()


def test_attempt_that_changes_tracked_and_ignored_files_takes_seven_git_processes(
    project: Project, slot: Slot, base: str, git_calls: Callable[[], int]
) -> None:
    git_calls()
    project.write({"app.py": "new\n", "x.log": "1\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    slot.remove_ignored(slot.keep)
    slot.restore(snapshot.commit)
    slot.prepare(base)
    assert git_calls() == 7


def test_attempt_continued_by_the_next_one_takes_three_git_processes(
    project: Project, slot: Slot, base: str, git_calls: Callable[[], int]
) -> None:
    git_calls()
    project.write({"app.py": "new\n", "pkg/new.py": "z = 1\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    assert slot.remove_ignored(slot.keep) == []
    slot.restore(snapshot.commit)
    slot.prepare(snapshot.commit)
    assert git_calls() == 3
    assert "pkg/new.py" in files_of(slot)


def test_file_created_between_two_sweeps_is_found(project: Project, slot: Slot, base: str) -> None:
    project.write({"app.py": "new\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    project.write({"late.log": "1\n", "build/late.py": "1\n"}, below=slot.path)
    assert sorted(slot.remove_ignored(slot.keep)) == ["build", "late.log"]
    slot.restore(snapshot.commit)
    project.write({"pkg/later.py": "1\n"}, below=slot.path)
    slot.prepare(snapshot.commit)
    assert not files_of(slot) & {"late.log", "build/late.py", "pkg/later.py"}


def test_tracked_file_in_a_kept_folder_does_not_hide_an_ignored_file(project: Project, tmp_path: Path) -> None:
    project.write({"vendor/lib.py": "1\n"})
    base, slot = project.commit(), project.slot()
    slot.prepare(base)
    project.write({"x.log": "1\n"}, below=slot.path)
    take_snapshot(slot, base)
    assert slot.remove_ignored(slot.keep) == ["x.log"]


def test_change_of_a_tracked_file_by_a_gate_is_undone(project: Project, slot: Slot, base: str) -> None:
    project.write({"app.py": "new\n"}, below=slot.path)
    snapshot = take_snapshot(slot, base)
    slot.remove_ignored(slot.keep)
    (slot.path / "README").write_text("read ME\n")
    slot.restore(snapshot.commit)
    assert (slot.path / "README").read_text() == "read me\n"
    assert (slot.path / "app.py").read_text() == "new\n"
