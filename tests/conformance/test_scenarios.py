"""Every scenario of the conformance suite on every pinned CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.conformance import CLIS, SCENARIOS, run
from pytest_gump.conformance.suite import left_out

if TYPE_CHECKING:
    from pathlib import Path

APPLICABLE = [(cli, scenario) for scenario in SCENARIOS for cli in CLIS if left_out(cli, scenario) is None]


@pytest.mark.parametrize(("cli", "scenario"), APPLICABLE, ids=["-".join(pair) for pair in APPLICABLE])
def test_it_holds(cli: str, scenario: str, agents: Path) -> None:
    (finding,) = run([cli], print, [scenario], place=agents / "scratch")
    assert finding.state == "holds", finding.reason
