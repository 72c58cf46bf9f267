"""Files that git writes into a slot, and their entries in the index. See also `test_slot`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.git_project import Project, counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def test_index_has_the_times_and_sizes_of_files_in_folders(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot, head = project.slot(), project.open().head()
    count = counting_git(tmp_path, monkeypatch)
    assert slot.prepare(head)
    assert count() == 3  # for the index, the files, and the settings of the slot's own git
    for name in ("pkg/mod.py", "pkg/deep/er.py"):
        status = (slot.path / name).stat()
        shown = project.git("ls-files", "--debug", name, cwd=slot.path)
        seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
        assert f"mtime: {seconds}:{nanoseconds}\n" in shown
        assert f"size: {status.st_size}\t" in shown


def test_no_file_differs_after_a_partial_checkout(project: Project) -> None:
    old = project.commit()
    project.write({"pkg/mod.py": "x = 2\n", "top.py": "x = 1\n"})
    new = project.commit()
    slot = project.slot()
    slot.prepare(old)
    slot.restore(old)
    assert not slot.prepare(new)
    assert (slot.path / "pkg/mod.py").read_text() == "x = 2\n"
    assert project.git("status", "--porcelain", cwd=slot.path) == ""


def test_attributes_of_the_commit_are_used_and_not_those_in_the_slot(project: Project) -> None:
    project.write({".gitattributes": "*.txt text eol=crlf\n", "a.txt": "one\n"})
    windows = project.commit()
    project.write({".gitattributes": "*.txt text eol=lf\n", "a.txt": "two\n"})
    unix = project.commit()
    slot = project.slot()
    for commit, content in ((windows, b"one\r\n"), (unix, b"two\n"), (windows, b"one\r\n")):
        slot.prepare(commit)
        assert (slot.path / "a.txt").read_bytes() == content
        tree = slot.snapshot(commit, "attempt\n", "refs/gump/run-1/attempt-1").tree
        assert tree == project.git("rev-parse", f"{commit}^{{tree}}")
        project.write({".gitattributes": "* -text\n"}, below=slot.path)
