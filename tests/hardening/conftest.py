from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kits.rogue import Rogue

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved


@pytest.fixture
def rogue(gump_project: GumpProject, saved: Saved) -> Rogue:
    return Rogue(gump_project, saved)
