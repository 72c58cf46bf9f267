"""Complete sessions that reproduce reported faults. `make test-cases` runs them, `make test` does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hardening.conftest import rogue

__all__ = ["rogue"]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.case)
