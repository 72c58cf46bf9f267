"""Many runs as one set of figures: what `gump report --last N` prints. Sums are over all attempts of all runs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.metrics import AttemptRecord, RunRecord

Data = dict[str, Any]


def runs_data(records: Sequence[RunRecord]) -> Data:
    """Give success, cost, time and retries of the runs together, and by step and agent."""
    totals = [record.total for record in records]
    count = len(records)
    cost_usd = sum(total.cost_usd for total in totals)
    return {
        "schema": 1,
        "runs": count,
        "passed": sum(record.status == "passed" for record in records),
        "workflows": sorted({record.workflow for record in records}),
        "duration_s": {"average": round(sum(record.duration_s for record in records) / count, 3)},
        "cost": {
            "usd": round(cost_usd, 6),
            "average_usd": round(cost_usd / count, 6),
            "estimated": any(total.estimated for total in totals),
            "unknown_attempts": sum(total.unknown for total in totals),
        },
        "attempts": sum(total.attempts for total in totals),
        "retries": sum(record.retries for record in records),
        "steps": _steps(records),
    }


def _steps(records: Sequence[RunRecord]) -> list[Data]:
    """By step, its plan items taken together, and agent."""
    by_place: dict[tuple[str, str], list[AttemptRecord]] = defaultdict(list)
    names: dict[str, str] = {}
    for record in records:
        for one in record.attempts:
            if one.reused:
                continue
            if one.step not in names:
                names[one.step] = StepPath.parse(one.step).static
            by_place[names[one.step], one.agent or "(gates)"].append(one)
    return [
        {
            "step": step,
            "agent": agent,
            "attempts": len(attempts),
            "passed": sum(one.verdict == "passed" for one in attempts),
            "cost_usd": round(sum(one.usage.cost_usd or 0.0 for one in attempts if one.usage), 6),
            "duration_s": round(sum(one.duration_s for one in attempts), 3),
        }
        for (step, agent), attempts in by_place.items()
    ]
