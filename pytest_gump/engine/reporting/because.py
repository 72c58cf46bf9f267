"""Find the failure that caused an attempt: of its own step, or of another one after a restart or in a new pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_gump.engine.record.records import AttemptRecord, RunRecord


_NO_FAILURE: Final = frozenset({"passed", "judged", "awaiting", "approved", ""})


def because(attempt: AttemptRecord, record: RunRecord) -> str | None:
    """Return the failure that caused an attempt; None for the first one of a step, and for gates after an approval.

    If several members of a parallel group failed, this is the failure of the first one in plan order.
    """
    if attempt.entry in {"first", "gates"}:
        return None
    failed = _answered(attempt, record)
    if failed is None:
        return None
    reason = failed.result.reason or failed.result.outcome if failed.result else "it was interrupted"
    where = "" if failed.step == attempt.step else f"{failed.step} "
    return f"{where}attempt {failed.attempt}: {reason}"


def _answered(attempt: AttemptRecord, record: RunRecord) -> AttemptRecord | None:
    before = [other for other in record.attempts[: attempt.number - 1] if other.verdict not in _NO_FAILURE]
    if attempt.entry in {"same", "escalate"}:
        return next((other for other in reversed(before) if other.step == attempt.step), None)
    path = StepPath.parse(attempt.step)
    newest = next((other for other in reversed(before) if _holds(_group_of(other.scope or other.step), path)), None)
    if newest is None or newest.scope in {"", newest.step}:
        return newest
    return _first_member(newest, before, record)


def _first_member(newest: AttemptRecord, before: list[AttemptRecord], record: RunRecord) -> AttemptRecord:
    """Return the first failure, in plan order, of the group's pass that ended with the newest failure."""
    group = StepPath.parse(newest.scope)
    inside = [other for other in before if _holds(group, StepPath.parse(other.step))]
    pass_before = max(
        (other.number for other in inside if other.scope == newest.scope and other is not newest), default=0
    )
    given_up = {other.step: other for other in inside if other.number > pass_before and other.verdict == "again"}
    places = _places(group, record.steps)
    return min(given_up.values(), key=lambda other: places[_member(group, other.step)], default=newest)


def _places(group: StepPath, steps: Iterable[str]) -> dict[str, int]:
    """Return the members of a group with their positions in plan order, the order in which they first start."""
    members = dict.fromkeys(_member(group, step) for step in steps if _holds(group, StepPath.parse(step)))
    return {member: number for number, member in enumerate(members)}


def _member(group: StepPath, step: str) -> str:
    """Return the member of the group that contains the step: a plan item or a step."""
    path = StepPath.parse(step)
    if len(path.items) > len(group.items):
        return path.items[len(group.items)]
    return path.names[min(len(group.names), len(path.names) - 1)]


def _group_of(path: str) -> StepPath:
    inner = StepPath.parse(path)
    return StepPath(inner.names[:-1], inner.items)


def _holds(group: StepPath, path: StepPath) -> bool:
    names, items = len(group.names), len(group.items)
    return (path.names[:names], path.items[:items]) == (group.names, group.items)
