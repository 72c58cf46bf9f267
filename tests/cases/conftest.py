"""Whole sessions that repeat reported faults: `make test-cases`. A plain `make test` leaves them out."""

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
