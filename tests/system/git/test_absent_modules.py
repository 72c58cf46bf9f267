"""Modules that tests can import in the checkout and not in a worktree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.absent_modules import absent_modules, importable
from pytest_gump.system.git.repository import Repository

from tests.system.git_project import counting_git

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject


@pytest.mark.parametrize(
    "path",
    [
        "app/_speed.cpython-311-x86_64-linux-gnu.so",
        "app/_speed.pyd",
        "app/_version.py",
        "src/app/generated/messages_pb2.py",
    ],
)
def test_compiled_and_generated_modules_are_found(path: str) -> None:
    assert [*importable([path])] == [path]


@pytest.mark.parametrize(
    "path",
    [
        "node_modules/gyp/a.py",
        ".venv/lib/a.py",
        "mine/lib/python3.11/site-packages/a.so",
        "build/lib.linux/a.so",
        ".tox/py/a.py",
        "app/__pycache__/a.py",
        "app/notes.txt",
        "app.egg-info/a.py",
    ],
)
def test_dependencies_outputs_and_caches_are_left_out(path: str) -> None:
    assert [*importable([path])] == []


def test_virtual_environment_is_recognized_by_its_marker_file() -> None:
    assert [*importable(["my-python/pyvenv.cfg", "my-python/bin/activate_this.py", "my-python-app/a.py"])] == [
        "my-python-app/a.py"
    ]


def test_only_ignored_files_missing_in_the_worktree_are_reported(gump_project: GumpProject) -> None:
    gump_project.write({".gitignore": "*.so\n_version.py\n", "app/__init__.py": ""})
    gump_project.commit()
    gump_project.write({"app/_speed.so": "x", "app/_version.py": "v = 1\n", "app/new.py": "x = 1\n"})
    repository = Repository.open(gump_project.path)
    assert absent_modules(repository, lambda _path: False) == ["app/_speed.so", "app/_version.py"]
    assert absent_modules(repository, lambda path: path.endswith(".so")) == ["app/_version.py"]


def test_ignored_folders_are_searched_except_environments_caches_and_repositories(gump_project: GumpProject) -> None:
    names = ("generated/", "mine/", "node_modules/", "nested/", "half/*")
    gump_project.write({".gitignore": "\n".join(names), "half/kept.py": ""})
    gump_project.git("add", "--force", "half/kept.py")
    gump_project.commit()
    gump_project.write(
        {
            "generated/deep/messages_pb2.py": "",
            "generated/deep/notes.txt": "",
            "generated/__pycache__/messages_pb2.py": "",
            "generated/.cache/a.py": "",
            "mine/pyvenv.cfg": "",
            "mine/bin/activate_this.py": "",
            "node_modules/gyp/a.py": "",
            "nested/.git/HEAD": "ref: refs/heads/main\n",
            "nested/a.py": "",
            "half/left.py": "",
            ".gump/runs/.gitignore": "*\n",
            ".gump/runs/one/attempts/a.py": "",
        }
    )
    (gump_project.path / "generated/loop").symlink_to("..")
    repository = Repository.open(gump_project.path)
    found = absent_modules(repository, lambda _path: False)
    assert found == ["generated/deep/messages_pb2.py", "half/left.py"]
    assert ".gump/runs/one/" in repository.status().ignored  # git does not search earlier runs


def test_earlier_status_is_used_again(
    gump_project: GumpProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gump_project.write({"app/_speed.so": "x", ".gitignore": "*.so\n"})
    repository = Repository.open(gump_project.path)
    repository.status()
    count = counting_git(tmp_path, monkeypatch)
    assert absent_modules(repository, lambda _path: False) == ["app/_speed.so"]
    assert count() == 0
