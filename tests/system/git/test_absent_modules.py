"""What of a checkout tests could import, and a worktree does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.absent_modules import absent_modules, importable
from pytest_gump.system.git.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
def test_compiled_and_generated_modules_are_importable(path: str) -> None:
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
def test_dependencies_outputs_and_caches_are_not(path: str) -> None:
    assert [*importable([path])] == []


def test_a_virtual_environment_is_known_by_its_marker_whatever_its_name() -> None:
    assert [*importable(["my-python/pyvenv.cfg", "my-python/bin/activate_this.py", "my-python-app/a.py"])] == [
        "my-python-app/a.py"
    ]


def test_only_ignored_files_that_the_worktree_lacks_are_named(gump_project: GumpProject) -> None:
    gump_project.write({".gitignore": "*.so\n_version.py\n", "app/__init__.py": ""})
    gump_project.commit()
    gump_project.write({"app/_speed.so": "x", "app/_version.py": "v = 1\n", "app/new.py": "x = 1\n"})
    repository = Repository.open(gump_project.path)
    assert absent_modules(repository, lambda _path: False) == ["app/_speed.so", "app/_version.py"]
    assert absent_modules(repository, lambda path: path.endswith(".so")) == ["app/_version.py"]


def test_git_lists_nothing_of_earlier_runs_and_dependencies(
    gump_project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    gump_project.write({".gitignore": "*.py\n"})
    gump_project.commit()
    folders = (".gump/runs/one/attempts", ".venv/lib", "node_modules/gyp", "build/lib")
    gump_project.write({f"{folder}/a.py": "" for folder in (*folders, "app", "app/.gump", "app/build")})
    listed: list[str] = []

    def noting(paths: Iterable[str]) -> Iterator[str]:
        listed.extend(paths)
        return importable(listed)

    monkeypatch.setattr("pytest_gump.system.git.absent_modules.importable", noting)
    assert absent_modules(Repository.open(gump_project.path), lambda _path: False) == ["app/a.py"]
    assert sorted(listed) == ["app/.gump/a.py", "app/a.py", "app/build/a.py"]
