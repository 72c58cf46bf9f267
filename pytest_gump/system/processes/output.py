"""Output of children: split into lines, cut to a bound, made safe to print."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, BinaryIO, Final

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_LINE_BYTES: Final = 16 << 20
_CHUNK: Final = 1 << 20
_HEAD_SHARE: Final = 0.35
"""Of the bound; the end of an output tells more than its beginning."""


class LineSplitter:
    """Turns chunks into lines; holds at most one line, and never one over `max_bytes`."""

    def __init__(
        self,
        on_line: Callable[[bytes], str | None] | None,
        on_oversize: Callable[[int], None] | None = None,
        *,
        max_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._on_line = on_line
        self._on_oversize = on_oversize
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> str | None:
        """Pass on the lines that are complete now; gives the first reason to stop that came back."""
        if self._on_line is None:
            return None
        reason = None
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._take(end)
            reason = self._flush() or reason
        self._take(rest)
        return reason

    def finish(self) -> str | None:
        """Pass on a last line that had no newline."""
        return self._flush() if self._size else None

    def _take(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._max_bytes:
            self._parts.clear()
        elif part:
            self._parts.append(part)

    def _flush(self) -> str | None:
        line, size = b"".join(self._parts), self._size
        self._parts, self._size = [], 0
        if size > self._max_bytes:
            if self._on_oversize is not None:
                self._on_oversize(size)
            return None
        return self._on_line(line) if self._on_line is not None else None


def bounded_output(path: Path, limit_chars: int) -> str:
    """Read head and tail of a file, cut at line ends, in memory that does not grow with the file."""
    if limit_chars < 1:
        raise ValueError(f"a bound must be positive: {limit_chars}")
    window = 4 * limit_chars  # a character is at most four bytes
    with open(path, "rb", opener=_no_link) as file:
        start = file.read(window + 1)
        if len(start) <= window:
            return bounded_text(start.decode("utf-8", "replace"), limit_chars)
        newlines = start.count(b"\n") + _count_newlines(file)
        file.seek(-window, 2)
        end = file.read()
    head, tail = (
        _head(start.decode("utf-8", "replace"), limit_chars),
        _tail(end.decode("utf-8", "replace"), limit_chars),
    )
    return _join(head, tail, newlines - head.count("\n") - tail.count("\n"))


def _no_link(name: str, flags: int) -> int:
    """What a command printed is in a file of ours; a link in its place would show another one."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def bounded_text(text: str, limit_chars: int) -> str:
    """Cut a text as `bounded_output` cuts a file."""
    if len(text) <= limit_chars:
        return text
    head, tail = _head(text, limit_chars), _tail(text, limit_chars)
    return _join(head, tail, text.count("\n") - head.count("\n") - tail.count("\n"))


def _count_newlines(file: BinaryIO) -> int:
    count = 0
    while chunk := file.read(_CHUNK):
        count += chunk.count(b"\n")
    return count


def _head(text: str, limit_chars: int) -> str:
    kept = text[: int(limit_chars * _HEAD_SHARE)]
    return kept[: kept.rfind("\n") + 1] or kept


def _tail(text: str, limit_chars: int) -> str:
    kept = text[len(text) - (limit_chars - int(limit_chars * _HEAD_SHARE)) :]
    cut = kept.find("\n") + 1
    return kept[cut:] if 0 < cut < len(kept) else kept


def _join(head: str, tail: str, lines_out: int) -> str:
    what = plural(lines_out, "line") if lines_out > 0 else "the middle of a long line"
    gap = "" if not head or head.endswith("\n") else "\n"
    return f"{head}{gap}... {what} left out ...\n{tail}"


_SEQUENCES: Final = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[\x1b]\[[0-?]*[ -/]*[@-~]?|\x9b[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_CI_COMMANDS: Final = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_OLD_CI_COMMANDS: Final = re.compile(r"##(?=\[|vso\[)")
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Make text of agents and gates safe for terminals, JUnit and CI logs.

    Control sequences and characters go, except newline and tab; what a carriage return would have overwritten goes
    too; `::error` at the start of a line cannot start a CI workflow command.
    """
    plain = _SEQUENCES.sub("", text).replace("\r\n", "\n")
    if "\r" in plain:
        plain = "\n".join(_overwritten(line) for line in plain.split("\n"))
    plain = _LONE_SURROGATES.sub("\ufffd", _CONTROLS.sub("", plain))
    return _OLD_CI_COMMANDS.sub("# #", _CI_COMMANDS.sub(r"\1: ", plain))


def _overwritten(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")
