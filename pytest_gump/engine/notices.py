"""What happened around a run that a person should know of, one line each: for the terminal and the reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.metrics import NOTHING_TO_MERGE
from pytest_gump.gates.text import listed

if TYPE_CHECKING:
    from pytest_gump.engine.metrics import RunRecord


def notices(record: RunRecord) -> list[str]:
    lines = [
        f"branch {name} {why}: it was left alone; the result is on {record.branch}"
        for name, why in record.branches_left.items()
    ]
    if record.checkout_changed:
        lines.append(f"your checkout changed during the run: {listed(record.checkout_changed)}")
    if record.status == "passed" and record.unchanged:
        lines.append(f"{NOTHING_TO_MERGE}: no file differs from the base")
    return lines
