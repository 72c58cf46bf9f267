"""The built-in gates by name, and the function that runs the gates of a step."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pytest_gump.system.lazy import LazyMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.gates.base import Gate, GateContext, GateResult
    from pytest_gump.workflow.model import GateSpec

BUILTIN: Final[Mapping[str, Gate]] = LazyMapping(
    {
        "compile": "pytest_gump.gates.commands:compile_gate",
        "test": "pytest_gump.gates.commands:test_gate",
        "lint": "pytest_gump.gates.commands:lint_gate",
        "coverage": "pytest_gump.gates.coverage:coverage",
        "schema": "pytest_gump.gates.schema:schema",
        "tests_found": "pytest_gump.gates.tests_found:tests_found",
        "touched": "pytest_gump.gates.changes:touched",
        "untouched": "pytest_gump.gates.changes:untouched",
        "bash": "pytest_gump.gates.commands:bash",
    }
)


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
    if spec.name in BUILTIN:
        result = BUILTIN[spec.name](spec.argument, context)
    else:
        from pytest_gump.gates.custom import run_custom  # only for custom gates

        result = run_custom(spec.name, spec.argument, context)
    duration_s = result.duration_s or time.monotonic() - started
    return replace(result, name=spec.label, duration_s=duration_s)
