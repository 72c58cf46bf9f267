"""One line of the log is one stretch of work on one project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_LINE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) "
    r"(?P<project>[a-z0-9-]+)(?:: (?P<note>.*))?"
)


@dataclass(frozen=True, order=True)
class Entry:
    """Work on `project` from `start` up to, and not including, `end`."""

    project: str
    start: datetime
    end: datetime
    note: str = ""

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"an entry must end after it starts: {self.start} - {self.end}")


def parse_line(line: str) -> Entry:
    """Read `2026-03-02 22:30-00:15 website: release`; an end before the start is the next day."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(f"not an entry: {line!r}")
    start = datetime.fromisoformat(f"{match['day']} {match['start']}")
    end = datetime.fromisoformat(f"{match['day']} {match['end']}")
    if end < start:
        end += timedelta(days=1)
    return Entry(match["project"], start, end, match["note"] or "")


def parse_log(text: str) -> list[Entry]:
    """Read a whole log; empty lines and lines that start with `#` are left out."""
    lines = (line.strip() for line in text.splitlines())
    return [parse_line(line) for line in lines if line and not line.startswith("#")]
