from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.history import is_there
from pytest_gump.system.git.pack import open_mirror, pack_new, pack_trees, unpack

from tests.system.git_project import Project, make_project

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "here")


def mirror(project: Project, folder: Path, *commits: str, known: tuple[str, ...] = ()) -> Repository:
    pack = pack_trees(project.open(), commits, known) if commits else b""
    return open_mirror(folder, object_format="sha1", pack=pack, commits=commits)


def test_mirror_has_the_files_of_a_commit_without_its_history(project: Project, tmp_path: Path) -> None:
    first = project.open().head()
    project.write({"app.py": "changed\n"})
    second = project.commit()
    there = mirror(project, tmp_path / "there", second)
    assert there.read_file(second, "app.py") == b"changed\n"
    assert there.read_file(second, "pkg/mod.py") == b"x = 1\n"
    assert not is_there(there, first)


def test_later_pack_contains_only_new_objects(project: Project, tmp_path: Path) -> None:
    project.write({"large.bin": os.urandom(300_000)})
    first = project.commit()
    there = mirror(project, tmp_path / "there", first)
    project.write({"app.py": "changed\n"})
    second = project.commit()
    pack = pack_trees(project.open(), [second], [first])
    assert len(pack) < 10_000
    there = open_mirror(tmp_path / "there", object_format="sha1", pack=pack, commits=[second])
    assert there.read_file(second, "app.py") == b"changed\n"
    assert there.read_file(first, "app.py") == b"one\ntwo\nthree\n"


def test_files_read_by_other_processes_are_replaced_and_never_empty(project: Project, tmp_path: Path) -> None:
    first = project.open().head()
    there = mirror(project, tmp_path / "there", first)
    project.write({"app.py": "changed\n"})
    second = project.commit()
    with (there.git_dir / "HEAD").open() as head, (there.git_dir / "shallow").open() as shallow:
        mirror(project, tmp_path / "there", second, known=(first,))
        assert (head.read(), shallow.read()) == (f"{first}\n", f"{first}\n")
    assert (there.git_dir / "HEAD").read_text() == f"{second}\n"
    assert (there.git_dir / "shallow").read_text().split() == sorted([first, second])


@pytest.mark.parametrize("size", [10, 2 << 20], ids=["as files", "as a pack"])
def test_new_commits_are_returned_with_their_new_ancestors(project: Project, tmp_path: Path, size: int) -> None:
    base = project.open().head()
    there = mirror(project, tmp_path / "there", base)
    other = Project(there.root, tmp_path / "slots")
    other.git("reset", "-q", "--hard", base)
    other.write({"one.txt": "1\n"})
    first = other.commit()
    other.write({"two.bin": os.urandom(size)})
    second = other.commit()
    here = project.open()
    unpack(here, pack_new(there, [second], [base]))
    assert is_there(here, first)
    assert len(here.read_file(second, "two.bin") or b"") == size


def test_damaged_pack_is_an_error(project: Project, tmp_path: Path) -> None:
    head = project.open().head()
    pack = pack_trees(project.open(), [head], [])
    with pytest.raises(WorktreeError, match="git unpack-objects failed"):
        open_mirror(tmp_path / "there", object_format="sha1", pack=pack[:-30], commits=[head])


def test_error_names_the_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorktreeError, match=r"cannot create a repository in .*file/there: Not a directory"):
        open_mirror(tmp_path / "file" / "there", object_format="sha1", pack=b"", commits=[])
