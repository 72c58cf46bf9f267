"""Shorten what commands print to what an agent, or a line of the report, needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.system.processes.output import bounded_text, clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY_CHARS: Final = 120
_MAX_BLOCK_LINES: Final = 12


def one_line(text: str, limit: int = SUMMARY_CHARS) -> str:
    """Make text fit for one line of a report: no control characters, single spaces, cut with an ellipsis."""
    line = " ".join(clean_text(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def last_line(text: str) -> str:
    """The last line that holds something, fit for a report; empty when there is none."""
    return next((line for raw in reversed(text.splitlines()) if (line := one_line(raw))), "")


def listed(names: Sequence[str], limit: int = 10) -> str:
    """`a.py, b.py and 3 more`."""
    shown = ", ".join(one_line(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def told(text: str, limit: int) -> str:
    """What an agent is told of a command's output: repeated blocks once, head and tail within `limit` characters."""
    return bounded_text(without_repeats(clean_text(text).strip("\n")), limit)


def without_repeats(text: str) -> str:
    """Keep one of every run of identical blocks of up to 12 lines, and say how often it came."""
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
    """Size and number of the identical blocks that start at a line; two equal single lines are left alone."""
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
