"""A run at a glance, as plain data: what `gump status --json` lists. The shapes are in `status_schema`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_gump.engine.reporting import status_schema as shape
from pytest_gump.engine.reporting.report_data import cost_data
from pytest_gump.engine.reporting.shapes import time_text

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord
    from pytest_gump.engine.reporting.shapes import Data


def run_status(record: RunRecord, *, state: str, now: float) -> Data:
    """How far a run is. `state` is its status (`engine.record.liveness.run_state`)."""
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
        under_way=[shape.UNDER_WAY.fill(attempt) for attempt in under_way(record)],
        waiting=[shape.WAITING.fill(attempt, until=time_text(attempt.until or 0.0)) for attempt in record.waiting],
    )


def under_way(record: RunRecord) -> list[AttemptRecord]:
    """Attempts after which nothing was decided yet: at work, or cut off with the session that made them."""
    return [] if record.finished is not None else _undecided(record)


def _undecided(record: RunRecord) -> list[AttemptRecord]:
    valid = [attempt for attempt in record.attempts if not attempt.superseded and attempt.number not in record.reused]
    return [attempt for attempt in valid if not attempt.verdict]


def where(record: RunRecord) -> list[AttemptRecord]:
    """The attempts at which the run is, or at which it ended; running attempts go before settled ones."""
    steps = record.steps.values() if record.status == "failed" else ()
    failed = [step.attempts[-1] for step in steps if step.status == "failed" and step.attempts]
    return _undecided(record) or record.waiting or failed or record.attempts[-1:]


def seconds(record: RunRecord, *, now: float, is_running: bool) -> float:
    """How long the run took; until now, if it is running. Idle time does not count."""
    if not record.started:
        return 0.0
    if is_running and not record.is_waiting and record.finished is None:
        return max(0.0, now - record.started - record.idle_s)
    return record.duration_s
