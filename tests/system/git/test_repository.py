from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.changes import ChangedFile
from pytest_gump.system.git.checkout import fast_forward
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.git.runner import GitRunner

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return make_project(tmp_path)


# -- opening ---------------------------------------------------------------------------------------------------------


def test_sub_folder_opens_the_whole_repository(project: Project) -> None:
    repository = Repository.open(project.root / "pkg" / "deep")
    assert repository.root == project.root
    assert repository.git_dir == project.root / ".git"
    assert repository.branch() == "main"
    assert repository.head() == project.git("rev-parse", "HEAD")


def test_preloaded_values_start_no_git_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repository = project.open().preload()
    count = counting_git(tmp_path_factory.mktemp("git"), monkeypatch)
    assert repository.layout
    assert repository.hooks_folder == project.root / ".git/hooks"
    assert repository.tree_of(project.git("rev-parse", "HEAD"))
    assert count() == 1  # this rev-parse


def test_linked_worktree_shares_objects_and_has_its_own_head(project: Project, tmp_path: Path) -> None:
    project.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    repository = Repository.open(tmp_path / "linked")
    assert repository.git_dir == project.root / ".git"
    assert (repository.root, repository.branch()) == (tmp_path / "linked", "other")
    (tmp_path / "linked" / "app.py").write_text("changed\n")
    commit = repository.capture_dirty("run-1")
    assert repository.read_file(commit, "app.py") == b"changed\n"


def test_folder_outside_any_repository_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorktreeError, match="is not in a git repository\n  hint: run git init, then commit your files"):
        Repository.open(tmp_path)


def test_repository_without_commits_is_an_error(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(WorktreeError, match="has no commits yet"):
        Repository.open(tmp_path)


def test_bare_repository_is_an_error(project: Project, tmp_path: Path) -> None:
    project.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(WorktreeError, match="is a bare repository"):
        Repository.open(tmp_path / "bare")


def test_error_for_a_repository_of_another_owner_names_the_setting(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(project.root, 12345, 12345)
    with pytest.raises(WorktreeError, match=r"another user owns(.|\n)*safe\.directory"):
        project.open()


def test_missing_git_is_an_error(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorktreeError, match="git was not found on PATH"):
        project.open()


def test_inherited_git_variables_are_ignored(project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    head = project.git("rev-parse", "HEAD")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert project.open().head() == head


def test_shallow_clone_with_detached_head_can_be_opened(project: Project, tmp_path: Path) -> None:
    project.commit("second")
    subprocess.run(["git", "clone", "-q", "--depth=1", project.root.as_uri(), str(tmp_path / "clone")], check=True)
    clone = Project(tmp_path / "clone", tmp_path / "slots")
    clone.git("checkout", "-q", "--detach")
    repository = clone.open()
    assert repository.branch() is None
    slot = clone.slot()
    slot.prepare(repository.head())
    assert clone.git("log", "--format=%s", cwd=slot.path) == "second"


def test_sha256_repository_works(tmp_path: Path) -> None:
    project = make_project(tmp_path, "--object-format=sha256")
    slot = project.slot()
    slot.prepare(project.open().head())
    (slot.path / "app.py").write_text("new\n")
    assert project.git("status", "--porcelain", cwd=slot.path) == " M app.py"
    snapshot = slot.snapshot(project.open().head(), "m", "refs/gump/r/a1")
    assert len(snapshot.commit) == 64


# -- reading and refs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["nope", "--all", "-h", "HEAD:app.py", "HEAD^{tree}", ""])
def test_name_that_is_not_a_commit_is_an_error(project: Project, ref: str) -> None:
    with pytest.raises(WorktreeError, match="no such commit"):
        project.open().resolve(ref)


def test_names_resolve_to_full_ids(project: Project) -> None:
    project.git("tag", "-a", "v1", "-m", "v1")
    repository = project.open()
    assert {repository.resolve(ref) for ref in ("main", "v1", "HEAD", "v1^0")} == {repository.head()}


def test_files_of_a_commit_are_listed_and_read(project: Project) -> None:
    project.write({"odd\nname \udcff": b"\0\xff"})
    commit = project.commit()
    repository = project.open()
    assert "odd\nname \udcff" in repository.list_files(commit)
    assert repository.read_file(commit, "odd\nname \udcff") == b"\0\xff"
    assert repository.read_file(commit, "./pkg/mod.py") == b"x = 1\n"
    assert [repository.read_file(commit, path) for path in ("nope", "pkg", "../x", "/etc/passwd", ".")] == [None] * 5


def test_reading_from_an_unknown_commit_is_an_error(project: Project) -> None:
    with pytest.raises(WorktreeError):
        project.open().read_file("1" * 40, "app.py")
    with pytest.raises(WorktreeError, match="not a commit id"):
        project.open().read_file("--help", "app.py")


def test_refs_of_gump_are_created_updated_and_deleted(project: Project) -> None:
    repository = project.open()
    head = repository.head()
    for name in ("refs/gump/run-1/a1", "refs/heads/gump/run-1"):
        repository.update_ref(name, head)
    assert repository.refs("refs/gump/run-1") == {"refs/gump/run-1/a1": head}
    assert project.git("rev-parse", "gump/run-1") == head
    project.git("pack-refs", "--all")
    second = project.commit()
    repository.update_ref("refs/gump/run-1/a1", second)
    assert project.git("rev-parse", "refs/gump/run-1/a1") == second
    repository.delete_ref("refs/gump/run-1/a1")
    repository.delete_ref("refs/heads/gump/run-1")
    assert repository.refs("refs/gump/") | repository.refs("refs/heads/gump/") == {}


@pytest.mark.parametrize(
    "name", ["refs/heads/main", "HEAD", "refs/gump/../heads/main", "refs/gump/", "refs/gump/a//b", "refs/gump/x.lock"]
)
def test_other_refs_are_never_written(project: Project, name: str) -> None:
    repository = project.open()
    with pytest.raises(WorktreeError, match="not a ref of gump"):
        repository.update_ref(name, repository.head())
    with pytest.raises(WorktreeError, match="not a ref of gump"):
        repository.delete_ref(name)


def test_commit_needs_no_identity_hook_or_signature(project: Project) -> None:
    project.git("config", "commit.gpgsign", "true")
    project.git("config", "user.useConfigOnly", "true")
    repository = project.open()
    head = repository.head()
    message = "line\n\n" + "ä" * 300_000 + "\n"
    commit = repository.commit_tree(repository.tree_of(head), [head], message)
    assert repository.message_of(commit) == message
    assert project.git("log", "-1", "--format=%an <%ae> %cn <%ce> %P", commit) == (
        f"gump <gump@localhost> gump <gump@localhost> {head}"
    )


# -- dirty checkouts -------------------------------------------------------------------------------------------------


def test_only_tracked_modifications_make_a_checkout_dirty(project: Project) -> None:
    project.write({"spec.md": "new", "x.log": "ignored"})
    assert project.open().dirty() == []
    project.write({"app.py": "changed\n", "staged.py": "1\n"})
    (project.root / "README").unlink()
    project.git("add", "staged.py")
    assert project.open().dirty() == ["README", "app.py", "staged.py"]


def test_dirty_checkout_is_captured_without_a_change(project: Project) -> None:
    project.write({"app.py": "changed\n", "staged.py": "1\n", "untracked.py": "2\n"})
    project.git("add", "staged.py")
    (project.root / "README").unlink()
    before = project.state()
    repository = project.open()
    commit = repository.capture_dirty("run-1")
    assert project.state() == before
    assert {(change.path, change.status) for change in repository.changed(repository.head(), commit)} == {
        ("app.py", "modified"),
        ("staged.py", "added"),
        ("README", "deleted"),
    }
    assert repository.refs("refs/gump/run-1") == {"refs/gump/run-1/dirty": commit}


def test_unfinished_merge_cannot_be_captured(project: Project) -> None:
    project.begin_conflict("app.py")
    with pytest.raises(WorktreeError, match=r"a merge is unfinished: app\.py"):
        project.open().capture_dirty("run-1")


# -- comparisons -----------------------------------------------------------------------------------------------------


def test_changes_have_path_status_and_line_counts(project: Project) -> None:
    old = project.git("rev-parse", "HEAD")
    project.write({"app.py": "one\n2\nthree\nfour\n", "new\tname\n.py": "1\n", "blob": b"\0\1"})
    (project.root / "README").unlink()
    (project.root / "pkg/mod.py").unlink()
    (project.root / "pkg/mod.py").symlink_to("deep/er.py")
    new = project.commit()
    assert set(project.open().changed(old, new)) == {
        ChangedFile("README", "deleted", 0, 1),
        ChangedFile("app.py", "modified", 2, 1),
        ChangedFile("blob", "added", None, None),
        ChangedFile("new\tname\n.py", "added", 1, 0),
        ChangedFile("pkg/mod.py", "type", 1, 1),
    }


def test_patch_contains_binary_deleted_and_unusual_files(project: Project, tmp_path: Path) -> None:
    old = project.git("rev-parse", "HEAD")
    project.write({"blob": bytes(range(256)) * 20, "ö \udcff\n": "x\n", "app.py": "no newline", "empty": ""})
    (project.root / "README").unlink()
    (project.root / "link").symlink_to("app.py")
    (project.root / "pkg/mod.py").chmod(0o755)
    new = project.commit()
    project.git("config", "diff.noprefix", "true")
    project.git("config", "diff.external", "false")
    out = tmp_path / "diff.patch"
    project.open().diff(old, new, out)
    project.git("checkout", "-q", old)
    project.git("apply", "--binary", "--index", "--whitespace=nowarn", "-p1", str(out))
    assert project.git("write-tree") == project.git("rev-parse", f"{new}^{{tree}}")


def test_large_files_are_one_line_each_in_a_patch(project: Project, tmp_path: Path) -> None:
    old = project.git("rev-parse", "HEAD")
    project.write({"big.txt": "line\n" * 1_000_000, "big.bin": b"\0" * 2_000_000, "small.bin": b"\0\1", "a.py": "1\n"})
    new = project.commit()
    out = tmp_path / "diff.patch"
    repository = project.open()
    repository.diff(old, new, out)
    text = out.read_text()
    assert "# 'big.txt': too large to show (5000000 bytes)\n" in text
    assert "# 'big.bin': too large to show (2000000 bytes)\n" in text
    assert "b/small.bin" in text
    assert "b/a.py" in text
    assert len(text) < 2000
    assert repository.diff_text(old, new, 200).count("\n") < 12


# -- merges and apply ------------------------------------------------------------------------------------------------


def branch_with(project: Project, base: str, files: dict[str, str | bytes]) -> str:
    project.git("checkout", "-q", "--detach", base)
    project.write(files)
    commit = project.commit()
    project.git("checkout", "-q", "main")
    return commit


def test_changes_of_both_sides_merge_into_one_tree(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    ours = branch_with(project, base, {"app.py": "ONE\ntwo\nthree\n"})
    theirs = branch_with(project, base, {"app.py": "one\ntwo\nTHREE\n", "new.py": "1\n"})
    before = project.state()
    merge = project.open().merge_preview(ours, theirs, base)
    assert merge.tree is not None
    assert project.git("show", f"{merge.tree}:app.py") == "ONE\ntwo\nTHREE"
    assert project.state() == before


def test_conflicts_are_reported_without_a_tree(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    ours = branch_with(project, base, {"app.py": "ours\n", "bl\nob": b"\0\1", "same": "x\n"})
    theirs = branch_with(project, base, {"app.py": "theirs\n", "bl\nob": b"\0\2", "same": "x\n"})
    merge = project.open().merge_preview(ours, theirs, base)
    assert (merge.tree, merge.conflicts) == (None, ("app.py", "bl\nob"))


def test_merge_contains_only_changes_since_the_given_base(project: Project) -> None:
    project.write({"README": "uncommitted\n"})
    repository = project.open()
    head = repository.head()
    dirty = repository.capture_dirty("r")
    project.git("checkout", "-q", "README")
    result = branch_with(project, dirty, {"app.py": "ONE\ntwo\nthree\n"})
    merge = repository.merge_preview(head, result, dirty)
    assert merge.tree is not None
    commit = repository.commit_tree(merge.tree, [head], "m")
    assert [change.path for change in repository.changed(head, commit)] == ["app.py"]


def merge_commit(project: Project, files: dict[str, str | bytes]) -> str:
    repository = project.open()
    head = repository.head()
    result = branch_with(project, head, files)
    return repository.commit_tree(repository.tree_of(result), [head, result], "merge of a run\n")


def test_apply_moves_branch_index_and_files(project: Project) -> None:
    hook = project.root / ".git/hooks/post-merge"
    hook.write_text(f"#!/bin/sh\ntouch '{project.slots_root.parent.parent}/hook-ran'\n")
    hook.chmod(0o755)
    commit = merge_commit(project, {"app.py": "new\n", "pkg/added.py": "1\n"})
    project.write({"spec.md": "untracked stays"})
    fast_forward(project.open(), commit)
    assert (project.root / "app.py").read_text() == "new\n"
    assert project.git("status", "--porcelain") == "?? spec.md"
    assert project.open().branch() == "main"
    assert project.git("rev-parse", "main") == commit
    assert "gump apply" in project.git("reflog", "-1")
    assert not (project.slots_root.parent.parent / "hook-ran").exists()


def test_apply_works_on_a_detached_head(project: Project) -> None:
    commit = merge_commit(project, {"app.py": "new\n"})
    project.git("checkout", "-q", "--detach")
    fast_forward(project.open(), commit)
    assert project.git("rev-parse", "HEAD") == commit
    assert project.git("rev-parse", "main") != commit


def test_apply_refuses_a_dirty_checkout_and_names_the_files(project: Project) -> None:
    commit = merge_commit(project, {"app.py": "new\n"})
    project.write({"README": "my edit\n"})
    before = project.state()
    with pytest.raises(WorktreeError, match="uncommitted changes: README"):
        fast_forward(project.open(), commit)
    assert project.state() == before
    assert (project.root / "README").read_text() == "my edit\n"


@pytest.mark.parametrize(
    ("mine", "named"), [("pkg/added.py", "pkg/added.py"), ("x.log", "x.log"), ("folder", "folder")]
)
def test_apply_reports_untracked_and_ignored_files_in_the_way(project: Project, mine: str, named: str) -> None:
    commit = merge_commit(project, {"app.py": "new\n"})
    project.git("checkout", "-q", "--detach", commit)
    project.write({"pkg/added.py": "1\n", "x.log": "1\n", "folder/file": "1\n"})
    project.git("add", "-f", "x.log")
    ahead = project.commit()
    project.git("checkout", "-q", "main")
    project.write({mine: "mine\n"})
    with pytest.raises(WorktreeError, match=f"untracked files are in the way: {named}\n"):
        fast_forward(project.open(), ahead)
    assert (project.root / mine).read_text() == "mine\n"
    assert (project.root / "app.py").read_text() != "new\n"


def test_apply_turns_a_file_into_a_folder_and_back(project: Project) -> None:
    base = project.git("rev-parse", "HEAD")
    project.git("rm", "-q", "-r", "README", "pkg")
    project.write({"README/inner": "1\n", "pkg": "file now\n"})
    ahead = project.commit()
    project.git("reset", "-q", "--hard", base)
    fast_forward(project.open(), ahead)
    assert (project.root / "README/inner").read_text() == "1\n"
    assert (project.root / "pkg").read_text() == "file now\n"


def test_apply_refuses_a_commit_that_is_not_ahead(project: Project) -> None:
    commit = merge_commit(project, {"app.py": "new\n"})
    project.write({"README": "newer\n"})
    project.commit()
    with pytest.raises(WorktreeError, match="HEAD of the checkout has moved"):
        fast_forward(project.open(), commit)
    assert (project.root / "app.py").read_text() == "one\ntwo\nthree\n"


# -- the environment of git ------------------------------------------------------------------------------------------


def test_git_variables_of_the_caller_do_not_redirect_git(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    head = project.git("rev-parse", "HEAD")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/ssl/own.pem")
    assert Repository.open(project.root).head() == head


def test_git_keeps_the_callers_variables_for_connections(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.git("config", "alias.tell", "!env")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/ssl/own.pem")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i own")
    monkeypatch.setenv("GIT_PAGER", "own")
    environment = GitRunner("-C", str(project.root)).check("tell").stdout.decode()
    assert "GIT_SSL_CAINFO=/etc/ssl/own.pem" in environment
    assert "GIT_SSH_COMMAND=ssh -i own" in environment
    assert "GIT_PAGER=own" not in environment
