"""How the text of an option becomes a value; a ValueError says what is wrong with it."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal[
    "command",
    "path",
    "duration",
    "duration_or_off",
    "count",
    "patterns",
    "names",
    "lines",
    "agents",
    "prices",
    "refuse_or_allow",
    "slots",
    "word",
]

MAX_SECONDS: Final = 366 * 24 * 3600
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_PRICED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", re.ASCII)
_DOLLARS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,12})?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def _text(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError(f"must be a text, not {raw!r}")
    if "\0" in raw:
        raise ValueError("must not hold a NUL character")
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
        raise ValueError(f"must be a list of texts, not {raw!r}")  # noqa: TRY004 - one kind of error for all
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


def _agents(raw: object) -> tuple[str, ...]:
    """Lines `NAME = AGENT WORDS`, tidied up."""
    agents: dict[str, str] = {}
    for line in _lines(raw):
        name, equals, words = (part.strip() for part in line.partition("="))
        if not equals or not words or not _AGENT.fullmatch(name):
            raise ValueError(f"{line!r} is not NAME = AGENT, with further words behind it or without")
        if name in agents:
            raise ValueError(f"{name!r} is listed twice")
        agents[name] = words
    return tuple(f"{name} = {words}" for name, words in agents.items())


def _prices(raw: object) -> tuple[str, ...]:
    """Lines `NAME = INPUT/OUTPUT/CACHE_READ/CACHE_WRITE`, cache prices default to the price of input."""
    prices: dict[str, str] = {}
    for line in _lines(raw):
        name, equals, numbers = (part.strip() for part in line.partition("="))
        dollars = [part.strip() for part in numbers.split("/")]
        is_price = 2 <= len(dollars) <= 4 and all(_DOLLARS.fullmatch(part) for part in dollars)
        if not equals or not _PRICED.fullmatch(name) or not is_price:
            raise ValueError(f"{line!r} is not NAME = INPUT/OUTPUT[/CACHE_READ[/CACHE_WRITE]] in dollars")
        if name.lower() in map(str.lower, prices):
            raise ValueError(f"{name!r} is listed twice")
        prices[name] = "/".join([*dollars, *[dollars[0]] * (4 - len(dollars))])
    return tuple(f"{name} = {dollars}" for name, dollars in prices.items())


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
    slots: dict[str, int] = {}
    for word in _words(raw):
        name, equals, number = word.partition("=")
        if not equals or not _AGENT.fullmatch(name):
            raise ValueError(f"{word!r} is not CLI=NUMBER")
        if name in slots:
            raise ValueError(f"{name!r} is listed twice")
        slots[name] = _count(number)
    return tuple(f"{name}={number}" for name, number in slots.items())


READERS: Final[Mapping[Kind, Callable[[object], object]]] = {
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
