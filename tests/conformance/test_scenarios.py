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

SLOW = "GUMP_AGENTS_SLOW" in os.environ
PATIENCE_S = 400.0 if SLOW else 15.0
"""How long a CLI may repeat a request that always fails."""

CONTAINED = {"resume": "fork", "token-limit": "budget", "time-limit": "interrupted"}
"""Scenarios of which another one contains all that depends on the CLI. Only `make test-agents-slow` runs them."""

FAILURES = ("status-429", "status-500", "overload")
PERSISTENT = dict.fromkeys(("gemini", "qwen", "opencode", "copilot"), FAILURES) | {"codex": ("status-500",)}
"""Scenarios in which the CLI repeats its request beyond 15 s, as in `refused`. Only `make test-agents-slow` runs them."""

APPLICABLE = [
    (cli, scenario)
    for scenario in SCENARIOS
    for cli in CLIS
    if left_out(cli, scenario) is None and (SLOW or not (scenario in CONTAINED or scenario in PERSISTENT.get(cli, ())))
]


@pytest.mark.parametrize(("cli", "scenario"), APPLICABLE, ids=["-".join(pair) for pair in APPLICABLE])
def test_the_scenario_holds(
    cli: str, scenario: str, agents: Path, record_property: Callable[[str, object], None]
) -> None:
    (finding,) = run([cli], print, [scenario], patience_s=PATIENCE_S)
    record_property("finding", f"{finding.state}: {finding.reason}".removesuffix(": "))  # make test-agents-newest
    assert finding.state == "holds", finding.reason
