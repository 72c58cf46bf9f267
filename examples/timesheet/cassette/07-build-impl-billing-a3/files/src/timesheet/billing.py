"""How much of the time is billed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from timesheet.entries import Entry


def billable(entries: Iterable[Entry], *, increment: int = 15) -> dict[tuple[date, str], int]:
    """Minutes to bill for each day and project, rounded up to a multiple of `increment`."""
    if increment < 1:
        raise ValueError(f"increment must be at least 1: {increment}")
    minutes: defaultdict[tuple[date, str], int] = defaultdict(int)
    for project, start, end in _merge(entries):
        for day, part in _split(start, end):
            minutes[day, project] += -(-part // increment) * increment
    return {key: minutes[key] for key in sorted(minutes)}


def _merge(entries: Iterable[Entry]) -> list[tuple[str, datetime, datetime]]:
    """Join overlapping and touching entries of one project."""
    merged: list[tuple[str, datetime, datetime]] = []
    for entry in sorted(entries):
        if merged and merged[-1][0] == entry.project and entry.start <= merged[-1][2]:
            merged[-1] = (entry.project, merged[-1][1], max(merged[-1][2], entry.end))
        else:
            merged.append((entry.project, entry.start, entry.end))
    return merged


def _split(start: datetime, end: datetime) -> Iterator[tuple[date, int]]:
    """Cut a stretch of work at midnight."""
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time())
        stop = min(midnight, end)
        yield start.date(), round((stop - start).total_seconds() / 60)
        start = stop
