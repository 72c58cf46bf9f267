"""Durations as people write them, in whole minutes."""

from __future__ import annotations

import re
from fractions import Fraction

_DURATION = re.compile(r"(?:(?P<hours>\d+)h)? *(?:(?P<minutes>\d+)m)?|(?P<decimal>\d+\.\d+)h", re.ASCII)


def parse_minutes(text: str) -> int:
    """Read `45m`, `2h`, `1h30m` or `1.5h`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    hours = Fraction(match["decimal"] or match["hours"] or 0)
    minutes = hours * 60 + int(match["minutes"] or 0)
    if minutes.denominator != 1 or minutes == 0:
        raise ValueError(f"not a duration in whole minutes: {text!r}")
    return int(minutes)


def show_minutes(minutes: int) -> str:
    """Write 90 as `1:30`; hours are not turned into days."""
    return f"{minutes // 60}:{minutes % 60:02d}"
