"""Projects for many tests, prepared once per test process and copied for each test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytest_gump.testing import GumpProject


class Saved:
    """Copies of projects with their runs, cassettes and worktrees, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}
        """The original path of each project: its runs contain that path."""

    def give(self, name: str, project: GumpProject, make: Callable[[GumpProject], None]) -> None:
        """Prepare the project with `make`. Later calls with the same name copy the result."""
        kept = self._folder / name
        if name in self._paths:
            _restore(kept, project, self._paths[name])
        else:
            make(project)
            for part, place in _parts(project).items():
                shutil.copytree(place, kept / part, symlinks=True)
            self._paths[name] = project.path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("saved"))


def _parts(project: GumpProject) -> dict[str, Path]:
    cache = project.path.with_name(f"{project.path.name}-cache")
    return {"project": project.path, "cassette": project.cassette, "cache": cache}


def _restore(kept: Path, project: GumpProject, before: Path) -> None:
    for part, place in _parts(project).items():
        for path in place.iterdir():  # the project is the working directory of the test: keep the folder
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(kept / part, place, symlinks=True, dirs_exist_ok=True)
    project.git("update-index", "-q", "--refresh")  # the index of git contains inodes
    _rename(project.path.glob(".gump/runs/*/run.json"), before, project.path)
    for slots in _parts(project)["cache"].glob("gump/worktrees/*"):
        _move(slots, Slots.default_root(Repository.open(project.path)), before, project.path)


def _move(slots: Path, place: Path, before: Path, after: Path) -> None:
    """Move worktrees to a project at another path. Their records identify folders by device and inode."""
    slots.rename(place)
    _rename(place.glob("w*/.git/objects/info/alternates"), before, after)
    for record in place.glob("*.folder"):
        status = record.with_suffix("").stat()
        record.write_text(f"{status.st_dev} {status.st_ino}\n")


def _rename(files: Iterable[Path], before: Path, after: Path) -> None:
    for path in files:
        path.write_text(path.read_text(encoding="utf-8").replace(str(before), str(after)), encoding="utf-8")
