"""Runs in pytest's JUnit XML: properties of suite and steps, and the attempts of each step."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from _pytest.junitxml import (  # no public API for a testcase's system-out; tests/reporters/test_junit.py
    bin_xml_escape,
    xml_key,
)

from pytest_gump.agents.usage import worst_provenance
from pytest_gump.engine.reporting.notices import no_change, skipped_gates
from pytest_gump.order import agent_name
from pytest_gump.text import clean_text
from pytest_gump.units import USD_DIGITS, format_duration, format_usd, plural

if TYPE_CHECKING:
    import pytest

    from pytest_gump.collect import StepItem
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.order import ToolUse


def step_properties(record: RunRecord, step: StepRecord) -> list[tuple[str, str]]:
    """Return the properties of a step with attempts: only a few, because viewers show them before the failure."""
    last = step.attempts[-1]
    properties = [
        ("gump.run_id", record.run_id),
        ("gump.step", step.path),
        ("gump.agent", agent_name(step.agent, last.mode)),
        ("gump.outcome", step.outcome),
        ("gump.attempts", str(len(step.attempts))),
        ("gump.cost_usd", f"{step.total.cost_usd:.{USD_DIGITS}f}"),
        ("gump.cost_provenance", _provenance(step)),
    ]
    if last.reused or last.number in record.reused:
        properties.append(("gump.reused", "true"))
    if last.result is not None and (reason := no_change(last.result)):
        properties.append(("gump.no_change", reason))
    if last.result is not None and (skipped := skipped_gates(last.result)):
        properties.append(("gump.gates_skipped", "; ".join(f"{name}: {why}" for name, why in skipped.items())))
    return properties


def step_details(step: StepRecord) -> list[tuple[str, str]]:
    """Return further values of a step: sums of all attempts, the longest context and silence, and the first write."""
    total, last = step.total, step.attempts[-1]
    details = [
        ("gump.mode", last.mode),
        ("gump.turns", str(total.turns)),
        ("gump.tool_calls", str(total.tool_calls)),
        ("gump.tokens_input", str(total.tokens.input)),
        ("gump.tokens_cache_read", str(total.tokens.cache_read)),
        ("gump.tokens_cache_write", str(total.tokens.cache_write)),
        ("gump.tokens_output", str(total.tokens.output)),
        ("gump.tokens_reasoning", str(total.tokens.reasoning)),
        ("gump.context_tokens", str(total.context_tokens)),
        ("gump.duration_s", f"{total.duration_s:.3f}"),
        *((f"gump.{name}", value) for name, value in _stalls(step.tool_use).items()),
    ]
    if (first_write_s := step.tool_use.first_write_s) is not None:
        details.append(("gump.first_write_s", f"{first_write_s:.3f}"))
    if last.result is not None:
        details.append(("gump.files_changed", str(len(last.result.changed))))
        if last.result.snapshot:
            details.append(("gump.snapshot", last.result.snapshot))
    return details


def suite_properties(record: RunRecord, suffix: str = "") -> list[tuple[str, str]]:
    total = record.total
    values = {
        "run_id": record.run_id,
        "workflow": record.workflow,
        "spec": record.spec,
        "base": record.base,
        "branch": record.branch,
        "status": record.status,
        "cost_usd": f"{total.cost_usd:.{USD_DIGITS}f}",
        "cost_unknown_attempts": str(total.unknown),
        "attempts": str(total.attempts),
        "turns": str(total.turns),
        "tool_calls": str(total.tool_calls),
        **_stalls(record.tool_use),
        "duration_s": f"{record.duration_s:.3f}",
        **({"resumed": str(record.resumed)} if record.resumed else {}),
        **({"origin": record.origin} if record.origin else {}),
    }
    return [(f"gump.{name}{suffix}", value) for name, value in values.items()]


def _stalls(use: ToolUse) -> dict[str, str]:
    """Return what the turns did, and where the agent made no progress."""
    return {
        **{f"turns_{kind}": str(count) for kind, count in asdict(use.kinds).items()},
        "tools_failed": str(use.failed),
        "tools_repeated": str(use.repeated),
        "tools_corrected": str(use.corrected),
        "failure_loops": str(use.failure_loops),
        "longest_silence_s": f"{use.longest_silence_s:.3f}",
    }


def system_out(step: StepRecord) -> ET.Element:
    """Return the attempts before the last as text, followed by `NAME=VALUE` for each further value.

    All JUnit families of pytest and all readers support `system-out`. The xunit2 schema also has elements of Maven
    Surefire for earlier attempts (`flakyFailure`), but viewers show such a step neither as passed nor as failed.
    """
    last = step.attempts[-1]
    shown = [attempt for attempt in step.attempts if attempt is not last or attempt.verdict != step.status]
    details = "\n".join(f"{name}={value}" for name, value in step_details(step))
    element = ET.Element("system-out")
    element.text = bin_xml_escape("\n\n".join([*map(_attempt_text, shown), details]))
    return element


def _attempt_text(record: AttemptRecord) -> str:
    result = record.result
    if result is None:
        return f"attempt {record.attempt}: {agent_name(record.agent, record.mode)}: interrupted"
    cost = format_usd(result.usage.cost_usd, estimated=result.usage.is_estimated)
    fate = " (reused from another run)" if record.reused else " (run again after a resume)" if record.superseded else ""
    lines = [
        (
            f"attempt {record.attempt}: {agent_name(record.agent, record.mode)}: {result.outcome}{fate}, {cost}, "
            f"{plural(result.usage.turns, 'turn')}, {format_duration(result.timings.total_s)}"
        ),
        f"  {result.reason}",
        *([f"  then: {record.why}"] if record.why else []),
        *(f"  gate {': '.join(filter(None, (gate.name, gate.status, gate.summary)))}" for gate in result.gates),
    ]
    return clean_text("\n".join(line for line in lines if line.strip()))


def write_step(config: pytest.Config, report: Any, record: RunRecord, step: StepRecord) -> None:
    """Complete the testcase of a settled step. `report` is its teardown report."""
    report.user_properties = step_properties(record, step)
    _write_details(config, report, step)


def write_skipped(config: pytest.Config, item: StepItem, record: RunRecord, step: StepRecord) -> None:
    """Add the attempts of a step that is about to be skipped. It can have attempts from before a restart."""
    if step.attempts:
        item.user_properties = list(step_properties(record, step))
        _write_details(config, item.nodeid, step)


def write_unsettled(config: pytest.Config, item: StepItem, record: RunRecord, step: StepRecord) -> None:
    """Write a skipped testcase for a step that has attempts but no testcase, so that its cost is reported.

    Such steps were running when the run stopped, or belong to a failed replan.
    """
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    reason = f"{step.outcome}: {step.reason or record.reason}"
    xml.pytest_runtest_logreport(item.bare_report("setup", "skipped", item.skip_location(reason)))
    report = item.bare_report("teardown")
    write_step(config, report, record, step)
    xml.pytest_runtest_logreport(report)


def _write_details(config: pytest.Config, report: Any, step: StepRecord) -> None:
    xml = config.stash.get(xml_key, None)
    if xml is not None:
        xml.node_reporter(report).append(system_out(step))


def write_suite(config: pytest.Config, records: list[tuple[str, RunRecord]]) -> None:
    """Add the properties of all runs to the suite. If there are several runs, each name ends with the run's node id."""
    xml = config.stash.get(xml_key, None)
    if xml is None:
        return
    for nodeid, record in records:
        for name, value in suite_properties(record, f"[{nodeid}]" if len(records) > 1 else ""):
            xml.add_global_property(name, value)


def _provenance(step: StepRecord) -> str:
    with_agent = [attempt for attempt in step.own if attempt.agent is not None]
    return worst_provenance(attempt.usage for attempt in with_agent if attempt.usage is not None) or "none"
