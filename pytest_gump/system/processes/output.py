"""Output of child processes: split into lines, and cut to a limit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Final

from pytest_gump.text import bounded_text, head, join_parts, tail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_LINE_BYTES: Final = 16 << 20
_CHUNK: Final = 1 << 20


class LineSplitter:
    """Splits chunks into lines. It stores at most one line, and none over `max_bytes`."""

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
        """Pass complete lines to `on_line`. Return the first reason to stop that it returned, if any.

        The lines after that one are passed on too: a command that is stopped may still print its result.
        """
        if self._on_line is None:
            return None
        reason = None
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._take(end)
            found = self._flush()
            reason = reason or found
        self._take(rest)
        return reason

    def finish(self) -> str | None:
        """Pass on a last line without a newline."""
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
    """Return head and tail of a file, cut at line ends. The memory use does not depend on the size of the file."""
    if limit_chars < 1:
        raise ValueError(f"the limit must be positive: {limit_chars}")
    window = 4 * limit_chars  # a character is at most four bytes
    with open(path, "rb", opener=_no_link) as file:
        start = file.read(window + 1)
        if len(start) <= window:
            return bounded_text(start.decode("utf-8", "replace"), limit_chars)
        newlines = start.count(b"\n") + _count_newlines(file)
        file.seek(-window, 2)
        end = file.read()
    first = head(start.decode("utf-8", "replace"), limit_chars)
    last = tail(end.decode("utf-8", "replace"), limit_chars)
    return join_parts(first, last, newlines - first.count("\n") - last.count("\n"))


def _no_link(name: str, flags: int) -> int:
    """Open a file, but not through a link: another process may have replaced the file by one."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _count_newlines(file: BinaryIO) -> int:
    count = 0
    while chunk := file.read(_CHUNK):
        count += chunk.count(b"\n")
    return count
