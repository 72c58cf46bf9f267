"""A slot of the project that each module defines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_gump.system.worktrees.slot import Slot

    from tests.system.git_project import Project


@pytest.fixture
def base(project: Project) -> str:
    return project.git("rev-parse", "HEAD")


@pytest.fixture
def slot(project: Project, base: str) -> Slot:
    slot = project.slot()
    assert slot.prepare(base)
    return slot
