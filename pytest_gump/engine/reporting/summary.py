"""The figures of several runs, for `gump report --last N`. Sums are over all attempts of all runs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.reporting.report_data import cost_data, has_passed, stalls_data
from pytest_gump.order import ToolUse, agent_name
from pytest_gump.units import USD_DIGITS
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.agents.usage import Total
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """The figures of a run that are kept in memory while other runs are read, instead of its whole record."""

    id: str
    workflow: str
    status: str
    duration_s: float
    retries: int
    total: Total


@dataclass(slots=True)
class _Sum:
    attempts: int = 0
    passed: int = 0
    cost_usd: float = 0.0
    duration_s: float = 0.0
    turns: int = 0
    tool_use: ToolUse = field(default_factory=ToolUse)
    first_writes_s: list[float] = field(default_factory=list)

    def add(self, attempt: AttemptRecord, *, passed: bool) -> None:
        self.attempts += 1
        self.passed += passed
        self.cost_usd += (attempt.usage.cost_usd if attempt.usage else None) or 0.0
        self.duration_s += attempt.duration_s
        self.turns += attempt.usage.turns if attempt.usage else 0
        use = attempt.tool_use
        self.tool_use += use
        self.first_writes_s += [] if use.first_write_s is None else [use.first_write_s]


def runs_data(records: Iterable[RunRecord]) -> Data:
    """Return success, cost, time, retries and stalls of the runs: in total, by step and agent, and run by run.

    `records` holds at least one run, newest first.
    """
    runs: list[_Run] = []
    by_place: dict[tuple[str, str], _Sum] = defaultdict(_Sum)
    names: dict[str, str] = {}
    for record in records:
        facts = (record.run_id, record.workflow, record.status)
        runs.append(_Run(*facts, record.duration_s, record.retries, record.total))
        for attempt in record.own:
            if attempt.step not in names:
                names[attempt.step] = StepPath.parse(attempt.step).static
            by_place[names[attempt.step], attempt.agent or f"({agent_name(None, attempt.mode)})"].add(
                attempt, passed=has_passed(attempt, record)
            )
    return {**_together(runs), "steps": _steps(by_place)}


def _together(runs: list[_Run]) -> Data:
    count = len(runs)
    cost_usd = sum(run.total.cost_usd for run in runs)
    return {
        "schema": 1,
        "runs": count,
        "passed": sum(run.status == "passed" for run in runs),
        "workflows": sorted({run.workflow for run in runs}),
        "duration_s": {"average": round(sum(run.duration_s for run in runs) / count, 3)},
        "cost": {
            "usd": round(cost_usd, USD_DIGITS),
            "average_usd": round(cost_usd / count, USD_DIGITS),
            "estimated": any(run.total.estimated for run in runs),
            "unknown_attempts": sum(run.total.unknown for run in runs),
        },
        "attempts": sum(run.total.attempts for run in runs),
        "retries": sum(run.retries for run in runs),
        "trend": [_point(run) for run in reversed(runs)],
    }


def _point(run: _Run) -> Data:
    """Return the entry of one run in the trend, which lists the oldest run first."""
    return {
        "run": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "cost": cost_data(run.total),
        "duration_s": round(run.duration_s, 3),
        "retries": run.retries,
    }


def _steps(by_place: Mapping[tuple[str, str], _Sum]) -> list[Data]:
    """Return the sums by step and agent; all plan items of a step are combined."""
    return [
        {
            "step": step,
            "agent": agent,
            "attempts": sums.attempts,
            "passed": sums.passed,
            "cost_usd": round(sums.cost_usd, USD_DIGITS),
            "duration_s": round(sums.duration_s, 3),
            "turns": sums.turns,
            **stalls_data(sums.tool_use),
            "first_write_s": round(median(sums.first_writes_s), 3) if sums.first_writes_s else None,
        }
        for (step, agent), sums in by_place.items()
    ]
