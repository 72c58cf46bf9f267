"""Fields of the ledger's event `decided`: what followed an attempt, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.schedule.decision import Stop

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.schedule import Settled
    from pytest_gump.workflow.path import StepPath


def why_text(settled: Settled) -> str:
    """What a hook asked for and was refused, or why the step was given up."""
    stops = [decision.reason for _, decision in settled.decisions if isinstance(decision, Stop) and decision.reason]
    return "; ".join(filter(None, [settled.note, *stops]))


def decision_fields(path: StepPath, decision: object) -> dict[str, Any]:
    return {"scope": str(path), "kind": type(decision).__name__.lower(), **asdict(decision)}  # type: ignore[call-overload]
