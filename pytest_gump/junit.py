"""What a run leaves in pytest's JUnit XML: properties of steps and of the suite, earlier attempts in system-out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from _pytest.junitxml import bin_xml_escape, xml_key  # no public way to a testcase's system-out; tests/test_junit.py

from pytest_gump.units import format_duration, format_usd

if TYPE_CHECKING:
    import pytest

    from pytest_gump.engine.metrics import AttemptRecord, RunRecord, StepRecord


def step_properties(step: StepRecord, last: AttemptRecord) -> list[tuple[str, str]]:
    """Properties of a settled step; money, tokens and turns are sums over all of its attempts."""
    total = step.total
    properties = [
        ("gump.step", step.path),
        ("gump.mode", last.mode),
        ("gump.agent", last.agent or "gate"),
        ("gump.outcome", step.outcome),
        ("gump.attempts", str(len(step.attempts))),
        ("gump.cost_usd", f"{total.cost_usd:.6f}"),
        ("gump.cost_provenance", _provenance(step)),
        ("gump.turns", str(total.turns)),
        ("gump.tool_calls", str(total.tool_calls)),
        ("gump.tokens_input", str(total.tokens.input)),
        ("gump.tokens_cache_read", str(total.tokens.cache_read)),
        ("gump.tokens_cache_write", str(total.tokens.cache_write)),
        ("gump.tokens_output", str(total.tokens.output)),
        ("gump.tokens_reasoning", str(total.tokens.reasoning)),
        ("gump.duration_s", f"{total.duration_s:.3f}"),
    ]
    if last.result is not None:
        properties.append(("gump.files_changed", str(len(last.result.changed))))
        if last.result.snapshot:
            properties.append(("gump.snapshot", last.result.snapshot))
    return properties


def suite_properties(record: RunRecord, suffix: str = "") -> list[tuple[str, str]]:
    total = record.total
    values = {
        "run_id": record.run_id,
        "workflow": record.workflow,
        "spec": record.spec,
        "base": record.base,
        "branch": record.branch,
        "status": record.status,
        "cost_usd": f"{total.cost_usd:.6f}",
        "cost_unknown_attempts": str(total.unknown),
        "attempts": str(total.attempts),
        "turns": str(total.turns),
        "duration_s": f"{record.duration_s:.3f}",
    }
    return [(f"gump.{name}{suffix}", value) for name, value in values.items()]


def attempts_text(step: StepRecord) -> str:
    """The attempts before the last one, in a few lines each: for the testcase's system-out."""
    blocks = []
    for one in step.attempts[:-1]:
        result = one.result
        if result is None:
            blocks.append(f"attempt {one.attempt}: {one.agent or 'gate'}: interrupted")
            continue
        cost = format_usd(result.usage.cost_usd, estimated=result.usage.provenance == "estimated")
        lines = [
            (
                f"attempt {one.attempt}: {one.agent or 'gate'}: {result.outcome}, {cost}, "
                f"{result.usage.turns} turns, {format_duration(result.timings.total_s)}"
            ),
            f"  {result.reason}",
            *([f"  then: {one.why}"] if one.why else []),
            *(f"  gate {gate.name}: {gate.status}: {gate.summary}" for gate in result.gates),
        ]
        blocks.append("\n".join(line for line in lines if line.strip()))
    return "\n".join(blocks)


def write_step(config: pytest.Config, report: Any, step: StepRecord, last: AttemptRecord) -> None:
    """Complete the testcase of a settled step; `report` is the teardown report that will close it."""
    report.user_properties = step_properties(step, last)
    text = attempts_text(step)
    xml = config.stash.get(xml_key, None)
    if xml is not None and text:
        element = ET.Element("system-out")
        element.text = bin_xml_escape(text)
        xml.node_reporter(report).append(element)


def write_suite(config: pytest.Config, records: list[tuple[str, RunRecord]]) -> None:
    """Add the properties of every run to the suite; with more than one, each name ends in the run's node id."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for nodeid, record in records:
        for name, value in suite_properties(record, f"[{nodeid}]" if len(records) > 1 else ""):
            xml.add_global_property(name, value)


def _provenance(step: StepRecord) -> str:
    kinds = {one.result.usage.provenance for one in step.attempts if one.result is not None and one.agent is not None}
    for kind in ("unknown", "estimated", "reported"):
        if kind in kinds:
            return kind
    return "none"
