"""How far a run is: its attempts at work, where it is or ended, and how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord


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
