"""The project of most tests of whole sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.processes import UNUSED
from tests.kits.workflows import ONE, PLAN, RETRY

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved


@pytest.fixture
def project(gump_project: GumpProject, saved: Saved) -> GumpProject:
    """Return a project with one Python file and the workflows `one`, `retry` and `plan`."""
    gump_project.pytester.plugins.extend(UNUSED)
    saved.give("project", gump_project, _fill)
    return gump_project


def _fill(project: GumpProject) -> None:
    project.write({"app.py": "value = 1\n"})
    for name, text in {"one": ONE, "retry": RETRY, "plan": PLAN}.items():
        project.workflow(name, text)
