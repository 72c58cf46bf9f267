"""The preflight, which runs the gates before the first attempt: its order, ledger fields, notes, and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.workflow.model import GateSpec

PREFLIGHT: Final = "preflight"
"""Name of the preflight where a step's name is expected."""


def preflight_order(inputs: RunInputs, slot: Callable[[], str]) -> Order | None:
    """Return an order for the workflow's command gates, each once, on the base; None if there is nothing to run."""
    from pytest_gump.workflow.edit import walk  # `gump status` makes no orders

    gates: dict[str, GateSpec] = {}
    for step in walk(inputs.workflow.steps):
        for gate in step.gate:
            if _is_command(gate):
                key = gate.name if gate.name == "coverage" else gate.label
                gates.setdefault(key, gate)
    return _gates_only(inputs, PREFLIGHT, inputs.base, tuple(gates.values()), slot)


def recheck_order(inputs: RunInputs, ready: Ready, slot: Callable[[], str]) -> Order | None:
    """Return an order for the command gates of a passed step on its own tree, `ready.base`."""
    gates = tuple(filter(_is_command, ready.step.gate))
    return _gates_only(inputs, "recheck", ready.base, gates, slot)


def _is_command(gate: GateSpec) -> bool:
    from pytest_gump.gates.base import COMMAND_GATES  # as above

    return gate.name in COMMAND_GATES


def _gates_only(
    inputs: RunInputs, name: str, base: str, gates: tuple[GateSpec, ...], slot: Callable[[], str]
) -> Order | None:
    if not gates and not inputs.setup:
        return None
    from pytest_gump.order import Order  # as above

    return Order(
        run_id=inputs.run_id,
        step=name,
        attempt=1,
        mode="gate",
        agent=None,
        base=base,
        step_base=base,
        run_base=inputs.base,
        slot=slot(),
        gates=gates,
        commands=inputs.commands,
        setup=inputs.setup,
        setup_only=True,
    )


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
