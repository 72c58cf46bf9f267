"""Write text to a terminal, file or pipe: cleaned, coloured if supported, ASCII if necessary."""

from __future__ import annotations

import json
import os
import shutil
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TextIO

from pytest_gump.text import ASCII, UNICODE, clean_text, fit, pad, width

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_gump.text import Marks

_COLOURS: Final = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
NARROWEST: Final = 12
"""Minimum width of a text column in a table that is too wide."""
STATUS_COLOURS: Final = {
    "passed": "green",
    "failed": "red",
    "interrupted": "red",
    "cancelled": "yellow",
    "awaiting": "yellow",
}


class Out:
    """Writes lines to one stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "ascii"
        self.is_terminal = stream.isatty()
        self.columns: int | None = shutil.get_terminal_size().columns if self.is_terminal else None
        """Width of the terminal; None if the output is not a terminal."""
        self._colours = self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @property
    def marks(self) -> Marks:
        try:
            "".join(UNICODE).encode(self._encoding)
        except (UnicodeError, LookupError):
            return ASCII
        return ASCII if os.environ.get("TERM") == "dumb" and self.is_terminal else UNICODE

    def line(self, text: str = "", colour: str = "") -> None:
        """Write one line without control sequences, cut at the width of the terminal."""
        text = clean_text(" ".join(text.splitlines()))
        self._write(fit(text, self.columns) if self.columns else text, colour)

    def text(self, text: str, *, indent: str = "", colour: str = "") -> None:
        """Write a text of several lines without cutting them."""
        for line in clean_text(text).splitlines() or [""]:
            self._write(f"{indent}{line}".rstrip(), colour)

    def raw(self, text: str) -> None:
        """Write text unchanged."""
        self._stream.write(text)

    def json(self, data: object) -> None:
        self.raw(json.dumps(data, indent=2) + "\n")

    def flush(self) -> None:
        self._stream.flush()

    def heading(self, title: str) -> None:
        self.line()
        self.line(title, "bold")

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        right: Collection[str] = (),
        optional: Sequence[str] = (),
        wrapped: Collection[str] = (),
    ) -> None:
        """Write rows in aligned columns, without empty columns.

        If the table is wider than the terminal, the columns of `optional` are omitted one by one, first to last. Then
        the widest text columns become narrower. A cell that is too long is cut, or continues on the next line if its
        column is in `wrapped`. Columns of `right` are right-aligned.
        """
        shown = [index for index in range(len(head)) if any(row[index] for row in rows)]
        cells = [[" ".join(cell.split()) for cell in row] for row in (head, *rows)]
        widths = [max(width(row[index]) for row in cells) for index in range(len(head))]
        for name in optional:
            if self._is_too_wide([widths[index] for index in shown]):
                shown = [index for index in shown if head[index] != name]
        self._narrow(widths, shown, [index for index in shown if head[index] not in right])
        for number, row in enumerate(cells):
            parts = {
                index: wrap(row[index], widths[index])
                if head[index] in wrapped
                else [_shorten(row[index], widths[index])]
                for index in shown
            }
            for line in zip_longest(*parts.values(), fillvalue=""):
                cells_of_line = zip(shown, line, strict=True)
                padded = (pad(text, widths[index], right=head[index] in right) for index, text in cells_of_line)
                self.line("  ".join(padded).rstrip(), "" if number else "dim")

    def _is_too_wide(self, widths: Sequence[int]) -> bool:
        return self.columns is not None and sum(widths) + 2 * (len(widths) - 1) > self.columns

    def _narrow(self, widths: list[int], shown: Sequence[int], texts: Sequence[int]) -> None:
        while texts and self._is_too_wide([widths[index] for index in shown]):
            widest = max(texts, key=lambda index: widths[index])
            if widths[widest] <= NARROWEST:
                return
            widths[widest] -= 1

    def _write(self, text: str, colour: str) -> None:
        safe = text.encode(self._encoding, "replace").decode(self._encoding)
        if colour and self._colours:
            safe = f"\x1b[{_COLOURS[colour]}m{safe}\x1b[0m"
        self._stream.write(f"{safe}\n")


def wrap(text: str, columns: int) -> list[str]:
    """Wrap a text between words. Only a word that is longer than a line is split."""
    lines, line = [], ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if line and width(joined) > columns:
            lines.append(line)
            joined = word
        while width(joined) > columns:
            size = max(size for size in range(1, len(joined) + 1) if size == 1 or width(joined[:size]) <= columns)
            lines.append(joined[:size])
            joined = joined[size:]
            if not joined:
                break
        line = joined
    return [*lines, line] if line or not lines else lines


def _shorten(cell: str, columns: int) -> str:
    """Cut a cell. The path of a step (`build::impl[item-2]`) loses its groups first, then its start."""
    while width(cell) > columns and "::" in cell:
        cell = cell.partition("::")[2]
    if width(cell) <= columns or not cell.endswith("]"):
        return fit(cell, columns)
    kept = cell
    while width(kept) > columns - 2:
        kept = kept[1:]
    return f"..{kept}"
