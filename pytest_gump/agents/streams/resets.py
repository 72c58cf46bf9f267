"""Reads when a usage limit resets, from the messages of a CLI or its provider.

The supported forms come from real messages: `|1767225600`, `resets 3pm (Europe/Madrid)`, `resets Feb 16, 11am
(Europe/Berlin)`, `try again in 2 days 17 hours`, `try again at Mar 10th, 2026 3:39 AM`, `will reset after 1h49m8s`,
`"retryDelay": "34s"`, `"resets_at": 1777936568`, `Retry-After: 120`. Other forms are ignored, not guessed.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_CHARS: Final = 20_000
_LATEST_S: Final = 400 * 86_400
"""A reset further in the future is not plausible."""
_JUST_GONE: Final = timedelta(hours=1)
"""A time of day that passed less than this long ago means today, not tomorrow."""

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_UNIT: Final = r"(?:ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?)(?![a-z])"
_PART: Final = re.compile(rf"(\d{{1,7}}(?:\.\d{{1,9}})?) ?({_UNIT})", re.IGNORECASE)
_IN: Final = re.compile(
    rf"(?:try again|retry|resets?)(?: (?:in|after))? ((?:\d{{1,7}}(?:\.\d{{1,9}})? ?{_UNIT}[ ,]{{0,2}}){{1,5}})",
    re.IGNORECASE,
)
_EPOCH: Final = re.compile(r'(?:\||resets?_?at\\{0,3}" ?: ?)(\d{10})(?:\d{3})?(?!\d)', re.IGNORECASE)
_SECONDS: Final = re.compile(r'(?:resets_in_seconds|retryDelay)\\{0,3}" ?: ?\\{0,3}"?(\d{1,8}(?:\.\d{1,9})?)s?\b')
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_AT: Final = re.compile(
    r"(?:resets?|try again)(?: at)? (?:([a-z]{3})[a-z]{0,6} (\d{1,2})(?:st|nd|rd|th)?(?:, (\d{4}))?,? (?:at )?)?"
    r"(1[0-2]|0?\d)(?::([0-5]\d))? ?([ap]m)(?: ?\(([A-Za-z_]+(?:/[A-Za-z0-9_+-]+){0,2})\))?",
    re.IGNORECASE,
)


def stated_reset(text: str, now: float) -> float | None:
    """Return the latest reset time in a failure message, in seconds since the epoch; None if it contains none."""
    text = text[:_MOST_CHARS]
    return sane(max(_stated(text, now), default=None), now)


def retry_after(value: str, now: float) -> float | None:
    """Return the time in an HTTP header `Retry-After` (seconds or a date), in seconds since the epoch, or None."""
    if value.strip().isdecimal():
        return sane(now + int(value.strip()[:12]), now)
    try:
        return sane(parsedate_to_datetime(value).timestamp(), now)
    except (ValueError, OverflowError, OSError):
        return None


def epoch(value: float | None, now: float) -> float | None:
    """Return seconds since the epoch, for a value in seconds or milliseconds; None if it is not plausible."""
    if value is None:
        return None
    return sane(value / 1000 if value > 1e11 else value, now)


def sane(at: float | None, now: float) -> float | None:
    """Return the time if it is plausible, otherwise None."""
    if at is None or not math.isfinite(at) or at <= 0:
        return None
    return at if at - now <= _LATEST_S else None


def _stated(text: str, now: float) -> Iterator[float]:
    yield from (float(found[1]) for found in _EPOCH.finditer(text))
    yield from (now + float(found[1]) for found in _SECONDS.finditer(text))
    yield from (now + _duration(found[1]) for found in _IN.finditer(text))
    for found in _AT.finditer(text):
        at = _clock(found, now)
        if at is not None:
            yield at


def _duration(text: str) -> float:
    return sum(
        float(number) * _UNITS["ms" if unit.lower() == "ms" else unit[0].lower()]
        for number, unit in _PART.findall(text)
    )


def _clock(found: re.Match[str], now: float) -> float | None:
    """Return a time of day in the named time zone or that of this machine; without a date, its next occurrence."""
    month, day, year, hour, minute, half, zone = found.groups()
    timezone = _zone(zone)
    today = datetime.fromtimestamp(now, UTC).astimezone(timezone)
    try:
        at = today.replace(
            hour=int(hour) % 12 + (12 if half.lower() == "pm" else 0), minute=int(minute or 0), second=0, microsecond=0
        )
        if month is not None:
            number = _MONTHS.index(month.lower()) + 1
            at = at.replace(year=int(year or today.year), month=number, day=int(day))
    except ValueError:
        return None
    if month is None and at < today - _JUST_GONE:
        at += timedelta(days=1)
    elif month is not None and year is None and at < today - timedelta(days=180):
        at = at.replace(year=today.year + 1)
    return at.replace(tzinfo=None).timestamp() if timezone is None else at.timestamp()


def _zone(name: str | None) -> tzinfo | None:
    """Return the named time zone; None stands for that of this machine."""
    if name is None:
        return None
    from zoneinfo import ZoneInfo  # only for the rare text that names a zone

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not in this machine's database
        return UTC if name.upper() in {"UTC", "GMT"} else None
