"""How much of the time is billed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from timesheet.entries import Entry


def billable(entries: Iterable[Entry], *, increment: int = 15) -> dict[tuple[date, str], int]:
    """Minutes to bill for each day and project, rounded up to a multiple of `increment`."""
    if increment < 1:
        raise ValueError(f"increment must be at least 1: {increment}")
    minutes: defaultdict[tuple[date, str], int] = defaultdict(int)
    for entry in entries:
        length = (entry.end - entry.start).total_seconds() / 60
        minutes[entry.start.date(), entry.project] += round(length)
    return {key: -(-minutes[key] // increment) * increment for key in sorted(minutes)}
