"""Counts the tool calls that a CLI refused, for one note at the end."""

from __future__ import annotations

from collections import Counter
from typing import Final

from pytest_gump.agents.streams import ndjson
from pytest_gump.units import plural

_MOST: Final = 1000
"""Different calls to remember, because a stream may have any number of them."""
_SHOWN: Final = 6
_CHARS: Final = 120
SETTING: Final = "gump_allow_commands can allow more"


def called(tool: str, what: str | None) -> str:
    """Return a call in one line: the tool with its file or command."""
    what = ndjson.first_line(what or "", limit=_CHARS)
    return f"{tool} {what!r}" if what else tool


class Refusals:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._has_command = False

    def __bool__(self) -> bool:
        return bool(self._counts)

    def add(self, call: str, *, is_command: bool = False) -> None:
        """Count a refused call, described as by `called`, or by the CLI's reason."""
        self._has_command = self._has_command or is_command
        call = ndjson.first_line(call, limit=2 * _CHARS)
        if call in self._counts or len(self._counts) < _MOST:
            self._counts[call] += 1

    def note(self, *, may_run: bool) -> str:
        """Return the note. If `may_run`, it names the setting that allows commands, before a terminal cuts the line."""
        shown = [f"{call} ({times} times)" if times > 1 else call for call, times in self._counts.most_common(_SHOWN)]
        if len(self._counts) > _SHOWN:
            shown.append(f"and {len(self._counts) - _SHOWN} others")
        setting = f" ({SETTING})" if may_run and self._has_command else ""
        return f"{plural(self._counts.total(), 'tool call')} refused{setting}: {', '.join(shown)}"
