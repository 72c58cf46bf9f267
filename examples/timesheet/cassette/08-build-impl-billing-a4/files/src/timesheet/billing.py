"""What is billed: the time that entries cover, added up by day and project, then rounded up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta

from timesheet.entries import Entry

_MINUTE = timedelta(minutes=1)


def billable(entries: Iterable[Entry], *, increment: int = 15) -> dict[tuple[date, str], int]:
    """Give the minutes to bill for each `(day, project)`, in that order.

    The total of a day and project is rounded up to a multiple of `increment`, single entries not.
    """
    if increment < 1:
        raise ValueError(f"increment must be at least 1: {increment}")
    totals: defaultdict[tuple[date, str], int] = defaultdict(int)
    for project, start, end in _stretches(entries):
        for day, minutes in _days(start, end):
            totals[day, project] += minutes
    return {key: -(-totals[key] // increment) * increment for key in sorted(totals)}


def _stretches(entries: Iterable[Entry]) -> Iterator[tuple[str, datetime, datetime]]:
    """Join the entries of a project that overlap or touch."""
    spans: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for entry in sorted(entries):
        known = spans[entry.project]
        if known and entry.start <= known[-1][1]:
            known[-1] = (known[-1][0], max(known[-1][1], entry.end))
        else:
            known.append((entry.start, entry.end))
    for project, found in spans.items():
        for start, end in found:
            yield project, start, end


def _days(start: datetime, end: datetime) -> Iterator[tuple[date, int]]:
    """Cut a stretch at every midnight."""
    while start < end:
        stop = min(end, datetime.combine(start.date() + timedelta(days=1), time()))
        yield start.date(), (stop - start) // _MINUTE
        start = stop
