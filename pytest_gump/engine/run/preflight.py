"""Evaluate the preflight, which runs the gates before the first attempt: ledger fields, notes, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult

PREFLIGHT: Final = "preflight"
"""Name of the preflight where a step's name is expected."""


def briefly(gates: Sequence[GateResult]) -> list[dict[str, Any]]:
    """Return the ledger fields of gates that do not belong to an attempt."""
    return [{"name": gate.name, "status": gate.status, "summary": gate.summary, "tests": gate.tests} for gate in gates]


def preflight_notes(gates: Sequence[GateResult]) -> list[str]:
    """Return notes for the user before the first agent starts: skipped tests, and gates that already fail."""
    notes = []
    for gate in gates:
        tests = gate.tests or {}
        if skipped := tests.get("skipped", 0):
            notes.append(f"{gate.name}: {skipped} of {plural(tests['collected'], 'test')} skipped in the worktree")
        if gate.status == "failed":
            notes.append(f"{gate.name} fails before any agent starts: an attempt passes only if it fixes the failure")
    return notes


def why_not_run(result: AttemptResult) -> str | None:
    """Return why the gates could not run; None if all of them ran."""
    broken = next((gate for gate in result.gates if gate.status == "error"), None)
    if broken is not None:
        return f"{broken.name}: {broken.summary}"
    return result.reason if not result.gates and not result.passed else None
