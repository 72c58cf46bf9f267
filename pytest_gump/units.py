"""Read and write durations, sizes, money and counts."""

from __future__ import annotations

import re
import time
from typing import Final

MAX_SECONDS: Final = 366 * 24 * 3600
"""The longest duration that a workflow or a setting may have."""
USD_DIGITS: Final = 4
"""Decimals of a recorded cost. Amounts are shown with as many, so that a sum is equal to the sum of its shown parts."""
_DAY_S: Final = 86_400
_DURATION = re.compile(r"(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?", re.ASCII)


def parse_duration(text: str) -> float:
    """Parse `90s`, `5m` or `1h30m`. Return seconds.

    Raises:
        ValueError: The text has another form, or the duration is zero.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not text.strip():
        raise ValueError(f"not a duration: {text!r}; write it like 90s, 5m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.group("h", "m", "s"))
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise ValueError(f"a duration must be longer than zero: {text!r}")
    return total


def parse_age(text: str) -> float:
    """Parse `14d`, `2w` or a duration (see `parse_duration`). Return seconds.

    Raises:
        ValueError: The text has another form, or the age is zero.
    """
    match = re.fullmatch(r"(\d{1,6})([dw])", text.strip(), re.ASCII)
    if match is None:
        return parse_duration(text)
    days = int(match[1]) * (7 if match[2] == "w" else 1)
    if days == 0:
        raise ValueError(f"an age must be longer than zero: {text!r}")
    return days * 86_400.0


def format_bytes(count: int) -> str:
    """Format a size in bytes: `512 B`, `12 KiB`, `3.4 MiB`."""
    amount, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount, units = amount / 1024, units[1:]
    return f"{amount:.1f} {units[0]}" if units[0] != "B" and amount < 10 else f"{amount:.0f} {units[0]}"


def format_duration(seconds: float) -> str:
    """Format seconds: `0.4s`, `12s`, `2m`, `3m32s`, `1h05m`."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if minutes and rest else f"{minutes}m" if minutes else f"{rest}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}h{minutes % 60:02d}m"


def format_age(seconds: float) -> str:
    """Format seconds: whole days as `3d`, other times as a duration."""
    days, rest = divmod(seconds, _DAY_S)
    return f"{days:.0f}d" if days and not rest else format_duration(seconds)


def format_usd(amount: float | None, *, estimated: bool = False) -> str:
    """Format dollars: `$0.30`, `$0.0189`, `$1.1884`. Unknown is `$?`; an estimate starts with `~`.

    Amounts that are not whole cents have four decimals, so that sums agree with their parts.
    """
    if amount is None:
        return "$?"
    amount = round_usd(amount)
    cents, fine = f"{amount:.2f}", f"{amount:.{USD_DIGITS}f}"
    text = f"${cents}" if fine == f"{cents}00" else f"${fine}"
    return f"~{text}" if estimated else text


def round_usd(amount: float) -> float:
    """Round dollars to hundredths of a cent. A smaller cost is rounded up, because it is not zero."""
    return max(round(amount, USD_DIGITS), 10.0**-USD_DIGITS) if amount > 0 else amount


def format_usd_sum(amount: float, *, estimated: bool = False, has_unknown: bool = False) -> str:
    """Format a sum of costs: `$1.1884`, `$1.1884 + $?` if a part is unknown, `$?` if all is unknown."""
    if not has_unknown:
        return format_usd(amount, estimated=estimated)
    return f"{format_usd(amount, estimated=estimated)} + $?" if amount else "$?"


def plural(count: int, noun: str, plural_noun: str | None = None) -> str:
    """Return `1 file` or `2 files`; `plural_noun` is for irregular plurals."""
    return f"{count} {noun if count == 1 else plural_noun or noun + 's'}"


def clock_text(at: float, now: float) -> str:
    """Format a time in the local time zone and its distance: `15:30 (in 1h05m)`. Half a day or more adds the date."""
    moment = time.strftime("%H:%M" if abs(at - now) < _DAY_S / 2 else "%b %d, %H:%M", time.localtime(at))
    return f"{moment} (in {format_duration(at - now)})" if at > now else moment
