"""Differences between two commits: the number of git commands, and unusual cases. See also `test_repository`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_change_of_text_files_takes_one_git_command(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = 'odd "ü"\n.txt'
    project.write({odd: "1\n2\n", "run.sh": "true\n", "gone.txt": "bye", "empty.txt": ""})
    old = project.commit()
    project.write({odd: "1\n3", "new folder/new.txt": "x\n" * 100_000})
    (project.root / "run.sh").chmod(0o755)
    (project.root / "gone.txt").unlink()
    (project.root / "empty.txt").unlink()
    new = project.commit()

    repository, out = project.open(), tmp_path / "out.patch"
    repository.learn_trees([old, new])
    count = counting_git(tmp_path, monkeypatch)
    repository.diff(old, new, out)
    assert {change.path: (change.status, change.added, change.removed) for change in repository.changed(old, new)} == {
        odd: ("modified", 1, 1),
        "run.sh": ("modified", 0, 0),
        "gone.txt": ("deleted", 0, 1),
        "empty.txt": ("deleted", 0, 0),
        "new folder/new.txt": ("added", 100_000, 0),
    }
    assert count() == 1
    project.git("reset", "-q", "--hard", old)
    project.git("apply", "--binary", "--index", "--whitespace=nowarn", "-p1", str(out))
    assert project.git("write-tree") == repository.tree_of(new)


def test_trees_that_differ_only_in_an_empty_folder_have_no_change(project: Project, tmp_path: Path) -> None:
    repository = project.open()
    git = repository.objects
    empty = git.check("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"").line
    entries = git.check("ls-tree", "HEAD").stdout + f"040000 tree {empty}\tzz-empty\n".encode()
    tree = git.check("mktree", stdin=entries).line
    commit = repository.commit_tree(tree, [repository.head()], "with an empty folder")
    out = tmp_path / "out.patch"
    repository.diff(repository.head(), commit, out)
    assert out.read_bytes() == b""
    assert repository.changed(repository.head(), commit) == ()
