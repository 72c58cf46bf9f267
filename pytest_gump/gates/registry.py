"""All built-in gates by name, and the one way to run a step's gates."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.gates import changes, commands, coverage, custom, schema, tests_found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.gates.base import Gate, GateContext, GateResult
    from pytest_gump.workflow.model import GateSpec

BUILTIN: Final[dict[str, Gate]] = {
    "compile": commands.project_gate("compile"),
    "test": commands.project_gate("test"),
    "lint": commands.project_gate("lint"),
    "coverage": coverage.coverage,
    "schema": schema.schema,
    "tests_found": tests_found.tests_found,
    "touched": changes.touched,
    "untouched": changes.untouched,
    "bash": commands.bash,
}


def run_gates(
    specs: Sequence[GateSpec], context: GateContext, on_start: Callable[[str], object] = str
) -> list[GateResult]:
    """Run all gates in order, also after a failure, and return one result for each.

    `compile` runs first, wherever it is in the list, because the others use what it builds.
    A name that is not built in is looked up in `context.custom`. `on_start` gets the label of each gate before it runs.
    """
    order = sorted(range(len(specs)), key=lambda number: specs[number].name != "compile")
    results = {number: _run(specs[number], context, on_start) for number in order}
    return [results[number] for number in range(len(specs))]


def _run(spec: GateSpec, context: GateContext, on_start: Callable[[str], object]) -> GateResult:
    on_start(spec.label)
    started = time.monotonic()
    gate = BUILTIN.get(spec.name)
    result = gate(spec.argument, context) if gate else custom.run_custom(spec.name, spec.argument, context)
    duration_s = result.duration_s or time.monotonic() - started
    return replace(result, name=spec.label, duration_s=duration_s)
