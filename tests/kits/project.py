"""The project that most tests of whole sessions start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.workflows import ONE, PLAN, RETRY

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.fixture
def project(gump_project: GumpProject) -> GumpProject:
    """A project with one Python file and the workflows `one`, `retry` and `plan`."""
    gump_project.write({"app.py": "value = 1\n"})
    for name, text in {"one": ONE, "retry": RETRY, "plan": PLAN}.items():
        gump_project.workflow(name, text)
    return gump_project
