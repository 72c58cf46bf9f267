"""Events around a run that a person should know of, one line each, for the terminal and the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.record.records import NOTHING_TO_MERGE
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gump.engine.record.records import RunRecord


def notices(record: RunRecord) -> list[str]:
    lines = around(record.branch, record.branches_left, record.checkout_changed)
    if record.status == "failed" and record.preflight is not None:
        gates = (gate for gate in record.preflight["gates"] if gate["status"] == "failed")
        lines += [f"{gate['name']} failed before any agent started: {gate['summary']}" for gate in gates]
    if record.status == "passed" and record.unchanged:
        lines.append(f"{NOTHING_TO_MERGE}: no file differs from the base")
    return lines


def around(branch: str, branches_left: Mapping[str, str], checkout_changed: Sequence[str]) -> list[str]:
    """Lines on changes of the run's branches and of the checkout."""
    lines = [f"branch {name} {why}and is left alone; the result is on {branch}" for name, why in branches_left.items()]
    changed = [f"your checkout changed during the run: {listed(checkout_changed)}"] if checkout_changed else []
    return [*lines, *changed]
