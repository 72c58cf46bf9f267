"""Gates that check which files the step has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.base import GateResult
from pytest_gump.gates.patterns import matches
from pytest_gump.text import listed
from pytest_gump.units import plural

if TYPE_CHECKING:
    from pytest_gump.gates.base import GateContext


def touched(argument: str | None, context: GateContext) -> GateResult:
    return _check("touched", argument, context)


def untouched(argument: str | None, context: GateContext) -> GateResult:
    return _check("untouched", argument, context)


def _check(gate: str, argument: str | None, context: GateContext) -> GateResult:
    if not argument or not argument.strip():
        return GateResult(gate, "error", f"the gate needs a pattern: write {gate}: GLOB")
    paths = [file.path for file in context.changed]
    try:
        hits = matches([argument], paths, tests=context.test_patterns)
    except ValueError:
        return GateResult(gate, "error", f"not a file pattern: {argument}")
    message = f"no changed file matches {argument}"
    if bool(hits) == (gate == "touched"):
        found = f"{plural(len(hits), 'file')} changed: {listed(hits, 3)}"
        return GateResult(gate, "passed", found if hits else message)
    if hits:
        files = "1 file was" if len(hits) == 1 else f"{len(hits)} files were"
        message = f"{argument} must not change, but {files} changed: {listed(hits)}"
    else:
        message += f"; changed files: {listed(paths)}" if paths else "; nothing changed"
    return GateResult(gate, "failed", message, message)
