"""The commands that the gates compile, test, lint and coverage run in a project, or in one package of it."""

from __future__ import annotations

import shlex
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from pytest_gump.gates.tools.detect import detect

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.repository import Repository

PACKAGE_FILES: Final = (
    "pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "tox.ini",
    "package.json", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "build.gradle.kts", "Gemfile", "composer.json",
)  # fmt: skip
"""A folder with one of these files is a package with its own test settings."""


def gate_commands(repository: Repository, commit: str, settings: Settings, folder: str = "") -> dict[str, str]:
    """Return the commands for a commit: configured ones take precedence over detected ones.

    `folder` is the start folder of the session, relative to the project. Detected commands run in the package around
    it, like `pytest` started there by the user. Other commands run at the root of the project.
    """
    files = repository.list_files(commit)
    found = detect(files, lambda path: repository.read_file(commit, path), sys.executable)
    package = package_around(files, folder)
    if package:
        below = [path.removeprefix(f"{package}/") for path in files if path.startswith(f"{package}/")]
        own = detect(below, lambda path: repository.read_file(commit, f"{package}/{path}"), sys.executable)
        target = shlex.quote(f"./{package}" if package.startswith("-") else package)
        found |= {kind: f"cd {target} && {command}" for kind, command in own.items()}
    return {**found, **settings.commands}


def start_folder(project: Path, here: Path) -> str:
    """Return a start folder relative to the project; empty for the project itself and outside of it."""
    return "" if here == project or not here.is_relative_to(project) else here.relative_to(project).as_posix()


def package_around(files: Collection[str], folder: str) -> str:
    """Return the nearest package at or above a folder; empty if that is the project itself."""
    known = frozenset(files)
    for path in (PurePosixPath(folder), *PurePosixPath(folder).parents):
        if path != PurePosixPath() and any(str(path / name) in known for name in PACKAGE_FILES):
            return str(path)
    return ""
