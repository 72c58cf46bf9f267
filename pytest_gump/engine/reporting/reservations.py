"""Reservations about steps that passed: skipped gates, and steps that changed no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.record.records import RunRecord, StepRecord
    from pytest_gump.order import AttemptResult


def skipped_gates(result: AttemptResult) -> dict[str, str]:
    """The gates that did not run, each with the reason."""
    return {gate.name: gate.summary for gate in result.gates if gate.status == "skipped"}


def no_change(result: AttemptResult) -> str:
    """The agent's reason for a step that passed without a change; empty for all others."""
    return result.no_change if result.passed else ""


def reservations(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Path and text, a pair for each reservation about a step that passed."""
    for step in record.steps.values():
        for text in of_step(step):
            yield step.path, text


def reason_of_no_change(step: StepRecord) -> str:
    """Like `no_change`, for the last attempt of a step."""
    result = step.attempts[-1].result if step.status == "passed" and step.attempts else None
    return "" if result is None else no_change(result)


def of_step(step: StepRecord) -> Iterator[str]:
    result = step.attempts[-1].result if step.status == "passed" and step.attempts else None
    if result is None:
        return
    if reason := no_change(result):
        yield f"no change: {reason}"
    for name, why in skipped_gates(result).items():
        yield f"gate {name} skipped: {why}"
