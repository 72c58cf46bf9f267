"""`make test-neighbours` installs the other plugins and sets GUMP_NEIGHBOURS. `make test` skips this folder."""

from __future__ import annotations

import os

import pytest

collect_ignore_glob = [] if "GUMP_NEIGHBOURS" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def python() -> str:
    """Return the interpreter with the other plugins."""
    return os.environ["GUMP_NEIGHBOURS"]
