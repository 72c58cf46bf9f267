"""Everything that `gump doctor` found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.cli.doctor.agents import CliState, LiveCall
    from pytest_gump.cli.doctor.checks import Check
    from pytest_gump.conformance import Finding


@dataclass(frozen=True, slots=True)
class Diagnosis:
    workflow: str | None
    checks: tuple[Check, ...]
    clis: tuple[CliState, ...]
    live: tuple[LiveCall, ...]
    findings: tuple[Finding, ...] | None
    """Of the conformance suite; None where it was not asked for."""

    @property
    def failed(self) -> list[str]:
        """What was asked for and does not work."""
        return [
            *(check.name for check in self.checks if check.state == "failed"),
            *(f"call of {call.agent}" for call in self.live if not call.ok),
            *(f"{one.cli} {one.scenario}" for one in self.findings or () if one.state == "fails"),
        ]
