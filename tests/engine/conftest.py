"""One supervisor for all attempts of a module, as in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.system.processes.process import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    with Supervisor() as supervisor:
        yield supervisor
