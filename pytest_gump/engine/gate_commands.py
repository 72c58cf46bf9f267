"""The commands that the gates compile, test, lint and coverage run in a project."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_gump.gates.detect import detect

if TYPE_CHECKING:
    from pytest_gump.engine.settings import Settings
    from pytest_gump.system.worktree import Repository


def gate_commands(repository: Repository, commit: str, settings: Settings) -> dict[str, str]:
    """Give those for a commit: set ones first, then detected ones."""
    files = repository.list_files(commit)
    found = detect(files, lambda path: repository.read_file(commit, path), sys.executable)
    return {**found, **settings.commands}
