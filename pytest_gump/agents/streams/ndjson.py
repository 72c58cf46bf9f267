"""Reads lines of JSON from an untrusted program. No function raises on bad input."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

MAX_NOTES: Final = 20
MAX_NUMBER: Final = 10**15

JsonObject = Mapping[str, object]

# For a short line, `json.loads` takes twice the time of its `raw_decode`.
_decode: Final = json.JSONDecoder().raw_decode
_WHITE: Final = " \t\r\n"

_LONG_LINE: Final = 4 << 20
_LONG_TEXT: Final = 256 << 10
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_HEAD: Final = re.compile(rb'"(?:[^"\\]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u.{4}|\\.){0,%d}+' % _LONG_TEXT, re.DOTALL)
"""The start of a string, not cut inside an escape sequence."""


def parse_object(line: bytes) -> JsonObject | None:
    """Return the JSON object in a line; None for anything else.

    In a line over 4 MiB, strings over 256 KiB are truncated: only the output of tools is that long.
    """
    document = str(line if len(line) <= _LONG_LINE else _shortened(line), "utf-8", "replace")
    if document[:1] != "{":
        document = document.lstrip(_WHITE)
    try:
        value, end = _decode(document)
    except (ValueError, RecursionError):
        return None
    if end != len(document) and document[end:].strip(_WHITE):
        return None
    return value if type(value) is dict else None


def _shortened(line: bytes) -> bytes:
    kept: list[bytes] = []
    at = 0
    start = line.find(b'"')
    while (string := _STRING.match(line, start) if start >= 0 else None) is not None:
        if string.end() - start > _LONG_TEXT:
            head = _HEAD.match(line, start)
            kept += (line[at : head.end() if head else start], b'"')
            at = string.end()
        start = line.find(b'"', string.end())
    return b"".join((*kept, line[at:]))


def text(record: JsonObject, key: str) -> str | None:
    """Return a string that can be encoded, with lone surrogates replaced; None if the value is not a string."""
    value = record.get(key)
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def number(record: JsonObject, key: str) -> float | None:
    """Return a finite number that is not negative; None for any other value."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < MAX_NUMBER and math.isfinite(value) else None


def count(record: JsonObject, key: str) -> int:
    value = record.get(key)
    if type(value) is int:
        return value if 0 <= value < MAX_NUMBER else 0
    return int(number(record, key) or 0)


def section(record: JsonObject, key: str) -> JsonObject:
    value = record.get(key)
    return value if type(value) is dict else {}


def sections(record: JsonObject, key: str) -> Sequence[JsonObject]:
    value = record.get(key)
    if not isinstance(value, list):
        return ()
    return [entry for entry in value if isinstance(entry, dict)]


def strings(record: JsonObject, key: str) -> Sequence[str]:
    value = record.get(key)
    if not isinstance(value, list):
        return ()
    return [entry.encode("utf-8", "replace").decode("utf-8") for entry in value if isinstance(entry, str)]


def first_line(message: str, *, limit: int = 300) -> str:
    """Return the first line that is not blank, with at most `limit` characters."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def last_line(message: str, *, limit: int = 300) -> str:
    """Return the last line that is not blank, where programs print why they failed, with at most `limit` characters."""
    return first_line(next((line for line in reversed(message.splitlines()) if line.strip()), ""), limit=limit)


def describe_exit(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended by a signal"
    return f"ended by signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"


class Notes:
    """Notes about a stream: at most `MAX_NOTES`, each kept once."""

    __slots__ = ("_kept", "_left_out")

    def __init__(self) -> None:
        self._kept: dict[str, None] = {}
        self._left_out = 0

    def add(self, note: str) -> bool:
        """Keep the note. Return False if it is a repetition or there are too many notes."""
        if note in self._kept:
            return False
        if len(self._kept) >= MAX_NOTES:
            self._left_out += 1
            return False
        self._kept[note] = None
        return True

    def extend(self, other: Notes) -> None:
        for note in other.taken():
            self.add(note)

    def taken(self) -> tuple[str, ...]:
        more = (f"{self._left_out} more notes left out",) if self._left_out else ()
        return (*self._kept, *more)
