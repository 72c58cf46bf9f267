"""The data of one run in `gump status --json`. Its shape is in `status_schema`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_gump.engine.reporting import status_schema as shape
from pytest_gump.engine.reporting.progress import running_attempts, seconds
from pytest_gump.engine.reporting.report_data import cost_data
from pytest_gump.engine.reporting.shapes import time_text

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.reporting.shapes import Data


def run_status(record: RunRecord, *, state: str, now: float) -> Data:
    """Return the status and progress of a run. `state` comes from `engine.record.liveness.run_state`."""
    is_running = state == "running"
    return shape.RUN_STATUS.fill(
        record,
        id=record.run_id,
        status=state,
        pid=record.pid if is_running else None,
        started=time_text(record.started) if record.started else None,
        finished=None if record.finished is None else time_text(record.finished),
        duration_s=round(seconds(record, now=now, is_running=is_running), 3),
        max_budget_usd=record.max_budget,
        cost=cost_data(record.total),
        attempts=len(record.own),
        steps=dict(Counter(step.status for step in record.steps.values())),
        running=[shape.RUNNING.fill(attempt) for attempt in running_attempts(record)],
        waiting=[shape.WAITING.fill(attempt, until=time_text(attempt.until or 0.0)) for attempt in record.waiting],
    )
