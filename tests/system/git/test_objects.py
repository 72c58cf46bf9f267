"""Commits that are written as files, in the form that git reads."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from tests.system.git_project import make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",), ("--shared=group",)])
def test_commit_is_valid_for_git(tmp_path: Path, options: tuple[str, ...]) -> None:
    project = make_project(tmp_path, *options)
    base = project.git("rev-parse", "HEAD")
    repository = project.open()
    commit = repository.commit_tree(repository.tree_of(base), [base], "subject: ü\n\nbody\n")
    repository.update_ref("refs/gump/run/x", commit)
    shown = project.git("log", "-1", "--format=%T|%P|%an <%ae>|%cn|%B", commit)
    assert shown == f"{project.git('rev-parse', base + '^{tree}')}|{base}|gump <gump@localhost>|gump|subject: ü\n\nbody"
    project.git("fsck", "--strict", "--no-dangling")


def test_commit_has_the_id_that_git_computes(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    base = project.git("rev-parse", "HEAD")
    commit = project.open().commit_tree(project.git("rev-parse", "HEAD^{tree}"), [base, base], "no newline")
    text = project.git("cat-file", "commit", commit)
    (tmp_path / "text").write_text(text + "\n", encoding="utf-8")
    assert project.git("hash-object", "-t", "commit", str(tmp_path / "text")) == commit


def test_object_file_is_read_only_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    base = project.git("rev-parse", "HEAD")
    commit = project.open().commit_tree(project.git("rev-parse", "HEAD^{tree}"), [base], "x")
    file = project.root / ".git/objects" / commit[:2] / commit[2:]
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert not list((project.root / ".git/objects").rglob("tmp_obj_*"))
