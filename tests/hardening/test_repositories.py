"""Repositories with an unusual configuration. A run works in them, or is refused with a reason before it starts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hardening.plain_runs import apply, check_applied, check_passed, check_refused, move, prepare

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.fixture
def project(gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> GumpProject:
    """Return a project on a machine without git configuration outside the repository."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    return prepare(gump_project)


def beside(project: GumpProject, name: str) -> Path:
    """Return a path next to the project."""
    return project.path.parent / f"{project.path.name}-{name}"


# -- configuration ---------------------------------------------------------------------------------------------------


def test_run_and_apply_work_without_a_git_identity(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.git("config", "user.useConfigOnly", "true")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


def test_commits_of_a_run_are_not_signed(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("commit.gpgSign", "tag.gpgSign", "merge.verifySignatures", "log.showSignature"):
        project.git("config", name, "true")
    project.git("config", "gpg.program", "/bin/false")
    project.git("config", "user.signingKey", "nobody")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


def test_no_hook_of_the_repository_runs(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    hooks = beside(project, "hooks")
    hooks.mkdir()
    names = "pre-commit commit-msg post-commit post-checkout post-merge pre-merge-commit reference-transaction"
    for name in (*names.split(), "post-index-change", "prepare-commit-msg"):
        for folder in (hooks, project.path / ".git" / "hooks"):
            folder.mkdir(exist_ok=True)
            hook = folder / name
            hook.write_text(f"#!/bin/sh\necho {name} >> {beside(project, 'hooked')}\nexit 1\n", encoding="utf-8")
            hook.chmod(0o755)
    project.git("config", "core.hooksPath", str(hooks))
    result = project.run("one")
    result.assert_outcomes(passed=1)
    check_applied_without_hooks(project, capsys)


def check_applied_without_hooks(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:

    apply(capsys)
    assert (project.path / "new.py").exists()
    assert not beside(project, "hooked").exists()


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_autocrlf_setting_of_the_user_is_respected(
    project: GumpProject, capsys: pytest.CaptureFixture[str], autocrlf: str
) -> None:
    project.git("config", "core.autocrlf", autocrlf)
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert project.git("cat-file", "blob", "HEAD:new.py") == "x = 1"
    if autocrlf == "true":
        assert (project.path / "new.py").read_bytes() == b"x = 1\r\n"


def test_crlf_files_of_an_agent_change_only_the_edited_lines(project: GumpProject) -> None:
    project.write({"long.py": "a = 1\nb = 2\n"})
    project.commit()
    project.git("config", "core.autocrlf", "true")
    project.answer("impl", writes={"long.py": b"a = 1\r\nb = 3\r\n"})
    project.run("one").assert_outcomes(passed=1)
    (change,) = project.record().attempts[0].result.changed  # type: ignore[union-attr]
    assert (change.path, change.added, change.removed) == ("long.py", 1, 1)


def test_eol_attributes_are_respected(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.write({".gitattributes": "*.py text eol=crlf\n*.sh text eol=lf\n"})
    project.git("add", "--renormalize", ".")
    project.commit()
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


def test_file_modes_are_ignored_with_core_filemode_false(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write({"tool.sh": "echo\n"})
    (project.path / "tool.sh").chmod(0o755)
    project.commit()
    project.git("config", "core.fileMode", "false")
    (project.path / "tool.sh").chmod(0o644)
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert project.git("ls-tree", "HEAD", "tool.sh").startswith("100755")


def test_a_file_system_monitor_is_not_started(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    monitor = beside(project, "monitor")
    monitor.write_text(f"#!/bin/sh\ntouch {beside(project, 'asked')}\nexit 1\n", encoding="utf-8")
    monitor.chmod(0o755)
    project.git("config", "core.fsmonitor", str(monitor))
    result = project.run("one")
    result.assert_outcomes(passed=1)

    apply(capsys)
    assert (project.path / "new.py").exists()
    assert not beside(project, "asked").exists()


@pytest.mark.parametrize("settings", [["index.version=4"], ["core.splitIndex=true"], ["core.untrackedCache=true"]])
def test_all_index_formats_are_supported(
    project: GumpProject, capsys: pytest.CaptureFixture[str], settings: list[str]
) -> None:
    for setting in settings:
        project.git("config", *setting.split("="))
    project.git("update-index", "--force-write-index")
    project.write({"app.py": "value = 1  # dirty\n"})
    dirty = project.run("one", "--gump-dirty=include")
    dirty.assert_outcomes(passed=1)
    project.git("checkout", "--quiet", "app.py")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


@pytest.mark.parametrize("sparse_index", ["--no-sparse-index", "--sparse-index"])
def test_a_sparse_checkout_stays_sparse_and_a_run_has_all_files(
    project: GumpProject, capsys: pytest.CaptureFixture[str], sparse_index: str
) -> None:
    project.write({"inside/a.py": "a = 1\n", "outside/b.py": "b = 1\n"})
    project.commit()
    project.git("sparse-checkout", "set", "--cone", sparse_index, "inside", ".gump")
    assert not (project.path / "outside").exists()
    project.answer("impl", writes={"app.py": "value = 2\n", "new.py": "x = 1\n", "outside/b.py": "b = 2\n"})
    project.run("one").assert_outcomes(passed=1)
    assert project.tree(project.record().head)["outside/b.py"] == "b = 2"
    check_applied(project, capsys)
    assert not (project.path / "outside").exists()
    assert project.git("show", "HEAD:outside/b.py") == "b = 2"


def test_lfs_pointers_are_unchanged_without_lfs(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1\n"
    project.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "data.bin": pointer})
    project.commit()
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert (project.path / "data.bin").read_text(encoding="utf-8") == pointer


@pytest.fixture
def filtered(project: GumpProject) -> GumpProject:
    """Return a checkout that needs a filter which is not installed."""
    project.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "data.bin": "pointer\n"})
    project.commit()
    project.git("config", "filter.lfs.smudge", "no-such-git-lfs smudge -- %f")
    project.git("config", "filter.lfs.required", "true")
    return project


def test_a_missing_required_filter_is_an_error_before_the_run_starts(filtered: GumpProject) -> None:
    check_refused(filtered, filtered.run("one"), "git status failed: data.bin: clean filter 'lfs' failed*")


def test_a_required_filter_missing_only_in_the_worktree_stops_the_run(
    filtered: GumpProject,
) -> None:
    filtered.git("config", "filter.lfs.required", "false")
    os.utime(filtered.path / "data.bin", (1_700_000_000, 1_700_000_000))
    filtered.git("update-index", "--refresh")
    filtered.git("config", "filter.lfs.required", "true")
    result = filtered.run("one")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["stopped: git checkout-index failed: data.bin: smudge filter lfs failed", "!* git checkout-index failed: *"]
    )
    assert "Traceback" not in result.stdout.str()
    assert filtered.record().attempts == []
    assert filtered.record().status == "cancelled"


# -- shapes of repositories --------------------------------------------------------------------------------------------


def test_submodules_are_unchanged(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    library = beside(project, "library")
    project.git("init", "--quiet", str(library))
    project.git("-C", str(library), "commit", "--quiet", "--allow-empty", "--message", "start")
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "vendor/library")
    project.commit()
    link = project.git("ls-tree", "HEAD", "vendor/library")
    assert link.startswith("160000")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert project.git("ls-tree", "HEAD", "vendor/library") == link


def test_a_run_works_in_a_shallow_clone(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.commit("one more")
    clone = beside(project, "shallow")
    project.git("clone", "--quiet", "--depth=1", f"file://{project.path}", str(clone))
    move(project, clone)
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert (clone / ".git" / "shallow").exists()
    project.git("fsck", "--connectivity-only")


def test_a_partial_clone_needs_no_network_for_existing_objects(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    project.git("config", "uploadpack.allowFilter", "true")
    clone = beside(project, "partial")
    project.git("clone", "--quiet", "--filter=blob:none", f"file://{project.path}", str(clone))
    move(project, clone)
    project.git("remote", "set-url", "origin", "file:///nowhere")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


def test_a_detached_head_is_moved_only_by_apply(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.git("checkout", "--quiet", "--detach")
    main = project.git("rev-parse", "main")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert project.git("rev-parse", "main") == main
    assert project.git("rev-parse", "--abbrev-ref", "HEAD") == "HEAD"


def test_an_unborn_branch_is_refused_before_the_run_starts(project: GumpProject) -> None:
    project.git("checkout", "--quiet", "--orphan", "empty")
    project.git("rm", "--quiet", "-r", "--cached", ".")
    check_refused(project, project.run("one"), "the repository '*' has no commits yet", "  hint: commit *")


def test_a_bare_repository_is_refused_before_the_run_starts(project: GumpProject) -> None:
    bare = beside(project, "bare.git")
    project.git("clone", "--quiet", "--bare", str(project.path), str(bare))
    (bare / "spec.md").write_text("# Spec\n", encoding="utf-8")
    os.chdir(bare)
    check_refused(project, project.run("freeform"), "*is a bare repository", "  hint: start in a checkout of it")


def test_a_nested_repository_is_separate_from_the_outer_one(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    outer = project.path
    inner = outer / "inner"
    project.git("clone", "--quiet", str(outer), str(inner))
    project.write({".gitignore": "/inner/\n", "pytest.ini": "[pytest]\n"})
    head = project.commit()
    move(project, inner)
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert not (outer / ".gump" / "runs").exists()
    move(project, outer)
    assert project.git("rev-parse", "HEAD") == head
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump") == ""


def test_a_linked_worktree_is_a_checkout_like_any_other(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    first = project.path
    linked = beside(project, "linked")
    project.git("worktree", "add", "--quiet", "-b", "side", str(linked))
    main = project.git("rev-parse", "main")
    move(project, linked)
    project.write({"app.py": "value = 1  # dirty\n"})
    project.run("one", "--gump-dirty=include").assert_outcomes(passed=1)
    project.git("checkout", "--quiet", "app.py")
    check_passed(project, project.run("one"))
    check_applied(project, capsys)
    assert not (first / ".gump" / "runs").exists()
    assert project.git("rev-parse", "main") == main
    assert project.git("worktree", "list", "--porcelain").count("worktree ") == 2


def test_runs_of_a_subdirectory_are_stored_at_the_top_of_the_repository(
    project: GumpProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"sub/deep/spec.md": "# Deep\n"})
    project.commit()
    monkeypatch.chdir(project.path / "sub" / "deep")
    listed = project.run("one", "--collect-only", "-q")
    assert listed.outlines[0] == "spec.md::one::impl"
    result = project.run("one")
    check_passed(project, result)
    assert project.record().spec == "sub/deep/spec.md"
    assert not (Path.cwd() / ".gump").exists()
    check_applied(project, capsys)


def test_node_ids_of_a_subdirectory_start_at_the_root_of_the_project(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write({"pytest.ini": "[pytest]\n", "sub/spec.md": "# Deep\n"})
    project.commit()
    monkeypatch.chdir(project.path / "sub")
    assert project.run("one", "--collect-only", "-q").outlines[0] == "sub/spec.md::one::impl"
    check_passed(project, project.run("one"))


@pytest.mark.parametrize("name", ["with space", "quo'te", 'dou"ble', "ünïcode ✓", "a$b`c;d&e", "-dash", "c:d", "100%"])
def test_a_path_may_have_any_name(
    project: GumpProject, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = beside(project, "odd") / name
    folder.parent.mkdir()
    project.git("clone", "--quiet", "--", str(project.path), str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(beside(project, "cache") / name))
    move(project, folder)
    check_passed(project, project.run("one", spec=str(folder / "spec.md")))
    check_applied(project, capsys)


@pytest.mark.parametrize("name", ["sp ace.md", "quo'te.md", "ünï.md", "a$b`c.md", "-x.md", "line\nbreak.md"])
def test_a_spec_may_have_any_name(project: GumpProject, name: str) -> None:
    project.write({name: "# Odd\n"})
    project.run("one", spec=f"./{name}").assert_outcomes(passed=1)
    assert project.record().spec == name


@pytest.mark.parametrize("name", ["[x].md", "::error.md"])
def test_a_spec_that_looks_like_a_node_id_is_refused(project: GumpProject, name: str) -> None:
    project.write({name: "# Odd\n"})
    check_refused(project, project.run("one", spec=f"./{name}"), "*")


def test_a_folder_that_looks_like_a_node_id_works_from_inside(
    project: GumpProject, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = beside(project, "[x]")
    project.git("clone", "--quiet", "--", str(project.path), str(folder))
    move(project, folder)
    check_passed(project, project.run("one"))
    check_applied(project, capsys)


def test_a_spec_outside_the_repository_is_read_in_place(project: GumpProject) -> None:
    spec = beside(project, "else.md")
    spec.write_text("# Elsewhere\n", encoding="utf-8")
    check_passed(project, project.run("one", spec=str(spec)))
    assert project.record().spec == spec.name


def test_a_spec_can_be_a_symbolic_link(project: GumpProject) -> None:
    (project.path / "link.md").symlink_to("spec.md")
    project.run("one", spec="link.md").assert_outcomes(passed=1)
    header = json.loads((project.folders()[0].path / "run.json").read_text(encoding="utf-8"))
    assert header["spec"] == "link.md"


def test_a_merge_in_progress_is_refused_before_the_run_starts(project: GumpProject) -> None:
    project.git("checkout", "--quiet", "-b", "side")
    project.write({"app.py": "value = 3\n"})
    project.commit()
    project.git("checkout", "--quiet", "main")
    project.write({"app.py": "value = 4\n"})
    project.commit()
    with pytest.raises(pytest.fail.Exception):
        project.git("merge", "side")
    result = project.run("one", "--gump-dirty=include")
    check_refused(project, result, "a merge is unfinished: app.py", "  hint: finish or abort it first")


def test_a_run_works_with_packed_refs(project: GumpProject, capsys: pytest.CaptureFixture[str]) -> None:
    project.git("pack-refs", "--all")
    check_passed(project, project.run("one"))
    project.git("pack-refs", "--all")
    check_applied(project, capsys)


def test_a_branch_named_gump_is_refused_before_the_run_starts(project: GumpProject) -> None:
    project.git("branch", "gump")
    result = project.run("one")
    check_refused(project, result, "git update-ref failed: *'refs/heads/gump' exists*")
    assert project.git("for-each-ref", "refs/gump", "refs/heads/gump/") == ""


def test_a_change_of_the_same_second_and_size_as_a_commit_is_included(project: GumpProject) -> None:
    """Git compares whole seconds, so a copied index is only reliable if it keeps its modification time."""
    for _ in range(5):
        time.sleep(1.01 - time.time() % 1)
        project.write({"app.py": "value = 1\n"})
        project.git("add", "app.py")
        project.write({"app.py": "value = 5\n"})
        seconds = {int((project.path / name).stat().st_ctime) for name in ("app.py", ".git/index")}
        if len(seconds) == 1:
            break
    time.sleep(1.1)
    project.answer("impl", writes={"new.py": "x = 1\n"})
    project.run("one", "--gump-dirty=include").assert_outcomes(passed=1)
    assert project.tree(project.record().base)["app.py"] == "value = 5"
