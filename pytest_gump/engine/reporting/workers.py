"""Who did the work of an attempt or a step: an agent, gates, a merge or a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import StepRecord


def worker(agent: str | None, mode: str) -> str:
    """Return the agent of an attempt; otherwise `approval`, `merge`, or `gate` if only gates ran."""
    return agent or {"approve": "approval", "merge": "merge"}.get(mode, "gate")


def agent_of(step: StepRecord) -> str | None:
    """Return the agent of the last attempt of a step. Its gates may have run later, as a part of their own."""
    parts = [attempt for attempt in step.attempts if attempt.attempt == step.attempts[-1].attempt]
    return next((attempt.agent for attempt in reversed(parts) if attempt.agent is not None), None)


def worker_of(step: StepRecord) -> str:
    return worker(agent_of(step), step.attempts[-1].mode)
