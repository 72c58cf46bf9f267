"""Notices on a run and its steps, one line each, for the terminal and the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.record.event_schema import NOTHING_TO_MERGE
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_gump.engine.record.records import RunRecord, StepRecord
    from pytest_gump.order import AttemptResult


def notices(record: RunRecord) -> list[str]:
    lines = around(record.branch, record.branches_left, record.checkout_changed)
    if record.status == "failed" and record.preflight is not None:
        gates = (gate for gate in record.preflight["gates"] if gate["status"] == "failed")
        lines += [f"{gate['name']} failed before any agent started: {gate['summary']}" for gate in gates]
    if record.status == "passed" and record.unchanged:
        lines.append(f"{NOTHING_TO_MERGE}: no file differs from the base")
    return lines


def around(branch: str, branches_left: Mapping[str, str], checkout_changed: Sequence[str]) -> list[str]:
    """Return lines on changes of the run's branches and of the checkout."""
    lines = [f"branch {name} {why} and is left alone; the result is on {branch}" for name, why in branches_left.items()]
    changed = [f"your checkout changed during the run: {listed(checkout_changed)}"] if checkout_changed else []
    return [*lines, *changed]


# -- reservations about steps that passed: skipped gates, and steps that changed no file ----------------------------


def reservations(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Return the path and a text for each reservation about a step that passed."""
    return ((step.path, text) for step in record.steps.values() for text in of_step(step))


def of_step(step: StepRecord) -> Iterator[str]:
    if reason := reason_of_no_change(step):
        yield f"no change: {reason}"
    result = _passed_result(step)
    for name, why in skipped_gates(result).items() if result is not None else ():
        yield f"gate {name} skipped: {why}"


def skipped_gates(result: AttemptResult) -> dict[str, str]:
    """Return the gates that did not run, each with the reason."""
    return {gate.name: gate.summary for gate in result.gates if gate.status == "skipped"}


def no_change(result: AttemptResult) -> str:
    """Return the agent's reason if the step passed without a change; otherwise an empty string."""
    return result.no_change if result.passed else ""


def reason_of_no_change(step: StepRecord) -> str:
    """Return `no_change` of the last attempt of a step; an empty string if the step has not passed."""
    result = _passed_result(step)
    return "" if result is None else no_change(result)


def _passed_result(step: StepRecord) -> AttemptResult | None:
    return step.attempts[-1].result if step.status == "passed" and step.attempts else None
