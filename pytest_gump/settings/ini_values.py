"""Converts the raw value of an option to a typed value. Each reader raises ValueError if the value is invalid."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Final

from pytest_gump.units import MAX_SECONDS, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_PRICED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", re.ASCII)
_DOLLARS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,12})?(\s*/\s*[0-9]{1,6}(\.[0-9]{1,12})?){1,3}", re.ASCII)
_ANYTHING = re.compile(r".+", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"must be a non-empty string, not {raw!r}")
    if "\0" in raw:
        raise ValueError("must not contain a NUL character")
    return raw.strip()


def _duration(raw: object) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and raw > 0:
        seconds = float(raw) if raw <= MAX_SECONDS else math.inf
    else:
        seconds = parse_duration(_text(raw))
    if seconds > MAX_SECONDS:
        raise ValueError("must not be longer than a year")
    return seconds


def _duration_or_off(raw: object) -> float | None:
    return None if raw == "off" or raw is False else _duration(raw)


def _count(raw: object) -> int:
    number = raw if isinstance(raw, int) and not isinstance(raw, bool) else None
    if isinstance(raw, str) and re.fullmatch(r"\d+", raw.strip(), re.ASCII):
        number = int(raw)
    if number is None or number < 1:
        raise ValueError(f"must be a whole number above zero, not {raw!r}")
    return number


def _lines(raw: object) -> tuple[str, ...]:
    parts = raw.splitlines() if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple):
        raise ValueError(f"must be a list of strings, not {raw!r}")  # noqa: TRY004 - all readers raise ValueError
    return tuple(_text(part) for part in parts if part != "")


def _words(raw: object) -> tuple[str, ...]:
    return _lines(shlex.split(raw) if isinstance(raw, str) else raw)


def _names(raw: object) -> tuple[str, ...]:
    names = _words(raw)
    for name in names:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
    return names


def _patterns(raw: object) -> tuple[str, ...]:
    patterns = _words(raw)
    for pattern in patterns:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise ValueError(f"{pattern!r} must be relative to the project, without '..'")
    return patterns


def _table(
    lines: tuple[str, ...], names: re.Pattern[str], values: re.Pattern[str], form: str, key: Callable[[str], str] = str
) -> dict[str, str]:
    """Return the values of lines `NAME=VALUE` by name. Two names must not have the same `key(name)`."""
    table: dict[str, str] = {}
    for line in lines:
        name, _, value = (part.strip() for part in line.partition("="))
        if not names.fullmatch(name) or not values.fullmatch(value):
            raise ValueError(f"{line!r} is not {form}")
        if key(name) in map(key, table):
            raise ValueError(f"{name!r} is listed twice")
        table[name] = value
    return table


def _agents(raw: object) -> tuple[str, ...]:
    """Return lines `NAME = AGENT ARGUMENTS` with normalized spaces around `=`."""
    agents = _table(_lines(raw), _AGENT, _ANYTHING, "NAME = AGENT or NAME = AGENT ARGUMENTS")
    return tuple(f"{name} = {agent}" for name, agent in agents.items())


def _prices(raw: object) -> tuple[str, ...]:
    """Return lines `NAME = INPUT/OUTPUT/CACHE_READ/CACHE_WRITE`. Cache prices default to the price of input."""
    form = "NAME = INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]] in dollars"
    prices = _table(_lines(raw), _PRICED, _DOLLARS, form, key=str.lower)
    split = {name: [part.strip() for part in text.split("/")] for name, text in prices.items()}
    return tuple(f"{name} = {'/'.join([*parts, *[parts[0]] * (4 - len(parts))])}" for name, parts in split.items())


def _refuse_or_allow(raw: object) -> str:
    if raw not in ("refuse", "allow"):
        raise ValueError(f"must be 'refuse' or 'allow', not {raw!r}")
    return str(raw)


def _word(raw: object) -> str:
    word = _text(raw)
    if len(word.split()) > 1:
        raise ValueError(f"must be one word, not {raw!r}")
    return word


def _slots(raw: object) -> tuple[str, ...]:
    slots = _table(_words(raw), _AGENT, _ANYTHING, "CLI=NUMBER")
    return tuple(f"{name}={_count(number)}" for name, number in slots.items())


READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "command": _text,
    "path": _text,
    "duration": _duration,
    "duration_or_off": _duration_or_off,
    "count": _count,
    "patterns": _patterns,
    "names": _names,
    "lines": _lines,
    "agents": _agents,
    "prices": _prices,
    "refuse_or_allow": _refuse_or_allow,
    "slots": _slots,
    "word": _word,
}
