"""Clean and shorten text of agents, tools and repositories. Pure functions."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUMMARY_CHARS: Final = 120
_MAX_BLOCK_LINES: Final = 12


def one_line(text: str, limit: int = SUMMARY_CHARS) -> str:
    """Return text as one line: without control characters, with single spaces, cut with an ellipsis."""
    line = " ".join(clean_text(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def last_line(text: str) -> str:
    """Return the last line that is not blank, cleaned; empty if there is none."""
    return next((line for raw in reversed(text.splitlines()) if (line := one_line(raw))), "")


def listed(names: Sequence[str], limit: int = 10, show: Callable[[str], str] = one_line) -> str:
    """Return a list like `a.py, b.py and 3 more`."""
    shown = ", ".join(map(show, names[:limit]))
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def listed_paths(paths: Sequence[str]) -> str:
    """Return the first 20 paths in full. Bytes that are not UTF-8 become question marks."""
    return listed(paths, 20, lambda path: path.encode("utf-8", "replace").decode())


def quoted(text: str, limit: int = 60) -> str:
    """Return a user's text for a message: quoted, on one line, truncated."""
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")


def condensed(text: str, limit: int) -> str:
    """Shorten the output of a command to `limit` characters: repeated blocks once, head and tail."""
    return bounded_text(without_repeats(clean_text(text).strip("\n")), limit)


def without_repeats(text: str) -> str:
    """Replace repetitions of a block of up to 12 lines by one block and a count."""
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        size, times = _repetition(lines, at)
        kept += lines[at : at + size]
        if times > 1:
            what = "the line above" if size == 1 else f"the {size} lines above"
            kept.append(f"... {what} came {times} times ...")
        at += size * times
    return "\n".join(kept)


def _repetition(lines: list[str], at: int) -> tuple[int, int]:
    """Size and number of the identical blocks that start at a line. Two equal lines are not a repetition."""
    for size in range(1, _MAX_BLOCK_LINES + 1):
        block = lines[at : at + size]
        if not any(line.strip() for line in block):
            continue
        times = 1
        while lines[at + times * size : at + (times + 1) * size] == block:
            times += 1
        if times * size > 2 and times > 1:
            return size, times
    return 1, 1


_HEAD_SHARE: Final = 0.35
"""Share of the limit; smaller, because the end of an output is more useful than its start."""


def bounded_text(text: str, limit_chars: int) -> str:
    """Cut a text at line ends to its head and tail, with the number of omitted lines between them."""
    if len(text) <= limit_chars:
        return text
    start, end = head(text, limit_chars), tail(text, limit_chars)
    return join_parts(start, end, text.count("\n") - start.count("\n") - end.count("\n"))


def head(text: str, limit_chars: int) -> str:
    kept = text[: int(limit_chars * _HEAD_SHARE)]
    return kept[: kept.rfind("\n") + 1] or kept


def tail(text: str, limit_chars: int) -> str:
    kept = text[len(text) - (limit_chars - int(limit_chars * _HEAD_SHARE)) :]
    cut = kept.find("\n") + 1
    return kept[cut:] if 0 < cut < len(kept) else kept


def join_parts(start: str, end: str, lines_out: int) -> str:
    what = plural(lines_out, "line") if lines_out > 0 else "the middle of a long line"
    gap = "" if not start or start.endswith("\n") else "\n"
    return f"{start}{gap}... {what} left out ...\n{end}"


_SEQUENCES: Final = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|[\x1b]\[[0-?]*[ -/]*[@-~]?|\x9b[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x1b[ -/]*[0-~]?"
)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_CI_COMMANDS: Final = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_OLD_CI_COMMANDS: Final = re.compile(r"##(?=\[|vso\[)")
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Make text of agents and gates safe for terminals, JUnit and CI logs.

    Remove control sequences, control characters except newline and tab, and text that a carriage return overwrites.
    Change `::error` at the start of a line, so that it does not start a CI workflow command.
    """
    plain = _SEQUENCES.sub("", text).replace("\r\n", "\n")
    if "\r" in plain:
        plain = "\n".join(_overwritten(line) for line in plain.split("\n"))
    plain = _LONE_SURROGATES.sub("\ufffd", _CONTROLS.sub("", plain))
    return _OLD_CI_COMMANDS.sub("# #", _CI_COMMANDS.sub(r"\1: ", plain))


def visible(text: str) -> str:
    """Return text in which control characters, except newline and tab, and invisible ones are escapes: `\\x1b`."""
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _overwritten(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


class Marks(NamedTuple):
    passed: str
    failed: str
    retried: str
    skipped: str
    group: str
    running: str
    arrow: str
    dash: str


UNICODE = Marks("✓", "✗", "⟳", "○", "▸", "…", "→", "—")
ASCII = Marks("+", "x", "~", "-", ">", ".", "->", "-")


def width(text: str) -> int:
    """Return the width of a text in terminal columns: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit(text: str, columns: int) -> str:
    """Cut the text to a number of columns. A cut text ends in `..`."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for char in text:
        used += width(char)
        if used > columns - 2:
            break
        kept += char
    return f"{kept}.." if columns > 2 else kept[:columns]


def pad(text: str, columns: int, *, right: bool = False) -> str:
    fill = " " * max(0, columns - width(text))
    return fill + text if right else text + fill
