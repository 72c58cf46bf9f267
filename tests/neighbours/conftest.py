"""`make test-neighbours` installs the other plugins and sets GUMP_NEIGHBOURS; `make test` leaves this folder out."""

from __future__ import annotations

import os

import pytest

collect_ignore_glob = [] if "GUMP_NEIGHBOURS" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter that has the other plugins."""
    return os.environ["GUMP_NEIGHBOURS"]
