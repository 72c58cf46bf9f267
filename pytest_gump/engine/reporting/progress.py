"""Progress of a run: its running attempts, its current or last step, and its duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord


def running_attempts(record: RunRecord) -> list[AttemptRecord]:
    """Return the attempts without a recorded decision: they are running, or were interrupted with their session."""
    return [] if record.finished is not None else _undecided(record)


def _undecided(record: RunRecord) -> list[AttemptRecord]:
    valid = [attempt for attempt in record.attempts if not attempt.superseded and attempt.number not in record.reused]
    return [attempt for attempt in valid if not attempt.verdict]


def where(record: RunRecord) -> list[AttemptRecord]:
    """Return the running attempts; if there are none, the waiting ones, else those that ended the run, else the newest.

    Failed attempts end a run, and those that wait for a person.
    """
    steps = record.steps.values() if record.status in {"failed", "awaiting"} else ()
    ended = (step for step in steps if step.status == record.status and not step.is_question)
    failed = [last for step in ended for last in step.attempts[-1:] if not last.ended_validator]
    return _undecided(record) or record.waiting or failed or record.attempts[-1:]


def seconds(record: RunRecord, *, now: float, is_running: bool) -> float:
    """Return the duration of the run without idle time; up to now if it is running."""
    if not record.started:
        return 0.0
    if is_running and not record.is_waiting and record.finished is None:
        return max(0.0, now - record.started - record.idle_s)
    return record.duration_s
