"""All scenarios of the conformance suite with all pinned CLIs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pytest_gump.conformance import CLIS, SCENARIOS, run
from pytest_gump.conformance.suite import left_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 400.0 if "GUMP_AGENTS_SLOW" in os.environ else 15.0
"""How long a CLI may repeat a request that always fails."""

CONTAINED = {} if "GUMP_AGENTS_SLOW" in os.environ else {"resume": "fork", "token-limit": "budget"}
"""Scenarios of which another one contains all that depends on the CLI. Only `make test-agents-slow` runs them."""

APPLICABLE = [
    (cli, scenario)
    for scenario in SCENARIOS
    for cli in CLIS
    if left_out(cli, scenario) is None and scenario not in CONTAINED
]


@pytest.mark.parametrize(("cli", "scenario"), APPLICABLE, ids=["-".join(pair) for pair in APPLICABLE])
def test_the_scenario_holds(
    cli: str, scenario: str, agents: Path, record_property: Callable[[str, object], None]
) -> None:
    (finding,) = run([cli], print, [scenario], patience_s=PATIENCE_S)
    record_property("finding", f"{finding.state}: {finding.reason}".removesuffix(": "))  # make test-agents-newest
    assert finding.state == "holds", finding.reason
