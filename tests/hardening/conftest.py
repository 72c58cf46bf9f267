from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.rogue import Rogue

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject


@pytest.fixture
def rogue(gump_project: GumpProject) -> Rogue:
    return Rogue(gump_project)
