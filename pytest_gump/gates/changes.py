"""Gates on which files the step has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.gates.base import GateResult
from pytest_gump.gates.patterns import matches
from pytest_gump.text import listed
from pytest_gump.units import plural

if TYPE_CHECKING:
    from pytest_gump.gates.base import GateContext


def touched(argument: str | None, context: GateContext) -> GateResult:
    paths = [file.path for file in context.changed]
    hits = _hits("touched", argument, paths, context)
    if isinstance(hits, GateResult):
        return hits
    if hits:
        return GateResult("touched", "passed", f"{plural(len(hits), 'file')} changed: {listed(hits, 3)}")
    seen = f"changed were {listed(paths)}" if paths else "nothing was changed"
    return _failed("touched", f"no changed file matches {argument}; {seen}")


def untouched(argument: str | None, context: GateContext) -> GateResult:
    paths = [file.path for file in context.changed]
    hits = _hits("untouched", argument, paths, context)
    if isinstance(hits, GateResult):
        return hits
    if not hits:
        return GateResult("untouched", "passed", f"no changed file matches {argument}")
    return _failed("untouched", f"{argument} must not change, but {_were(hits)} changed: {listed(hits)}")


def _hits(gate: str, argument: str | None, paths: list[str], context: GateContext) -> list[str] | GateResult:
    if not argument or not argument.strip():
        return GateResult(gate, "error", f"the gate needs a pattern: write {gate}: GLOB")
    try:
        return matches([argument], paths, tests=context.test_patterns)
    except ValueError:
        return GateResult(gate, "error", f"not a file pattern: {argument}")


def _were(hits: list[str]) -> str:
    return "1 file was" if len(hits) == 1 else f"{len(hits)} files were"


def _failed(gate: str, message: str) -> GateResult:
    return GateResult(gate, "failed", message, message)
