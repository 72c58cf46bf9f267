from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter that has the other plugins."""
    found = os.environ.get("GUMP_NEIGHBOURS")
    if not found:
        pytest.skip("`make test-neighbours` runs it")
    return found
