"""The fields of the ledger event `decided`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_gump.engine.schedule.decision import to_fields
from pytest_gump.order import to_wire
from pytest_gump.workflow.model import VALIDATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.engine.record.records import AttemptRecord
    from pytest_gump.engine.schedule.records import Settled, Validated
    from pytest_gump.order import AttemptResult


def decision_fields(number: int, settled: Settled, result: AttemptResult, commit: str | None) -> dict[str, Any]:
    """Return the fields of `decided` about one attempt; `number` is its number in the run."""
    return {
        "number": number,
        "verdict": settled.verdict,
        "outcome": settled.outcome,
        "reason": settled.reason or result.reason,
        "why": settled.why,
        "decisions": [to_fields(path, decision) for path, decision in settled.decisions],
        "failed": [str(path) for path in settled.failed],
        "commit": commit,
    }


def validated_fields(validated: Validated | None, record_of: Callable[[str, int], AttemptRecord]) -> dict[str, Any]:
    """Return the field with the decision about an attempt whose last validator has ended; no field if it has not.

    `record_of` returns the record of an attempt by its step and its number in the step.
    """
    if validated is None:
        return {}
    ready, result, commit, settled = validated
    number = record_of(str(ready.path), ready.attempt).number
    gates = [gate for gate in to_wire(result)["gates"] if gate["name"].startswith(f"{VALIDATE}:")]
    return {"validated": {**decision_fields(number, settled, result, commit), "gates": gates}}
