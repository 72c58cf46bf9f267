"""Writes lines and a live line to pytest's terminal."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from pytest_gump.text import ASCII, UNICODE, clean_text, width

if TYPE_CHECKING:
    import pytest

    from pytest_gump.text import Marks

COLUMNS = 80
"""Width of lines without a terminal reporter."""


class Screen:
    """Writes nothing without a terminal reporter (`-p no:terminal`)."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.verbosity = config.get_verbosity()
        self._live: int | None = None
        """Width of the current live line; None if there is none."""

    @property
    def reporter(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    @property
    def columns(self) -> int:
        """Current width of the terminal. Pytest treats a width below 40 as 80."""
        width_of_pytest = int(self._config.get_terminal_writer().fullwidth) if self.reporter else COLUMNS
        return min(width_of_pytest, shutil.get_terminal_size((width_of_pytest, 24)).columns)

    @property
    def marks(self) -> Marks:
        writer = self._config.get_terminal_writer() if self.reporter else None
        encoding = getattr(getattr(writer, "_file", None), "encoding", None) or "ascii"
        try:
            "".join(UNICODE).encode(encoding)
        except (UnicodeError, LookupError):
            return ASCII
        return ASCII if os.environ.get("TERM") == "dumb" else UNICODE

    def write(self, line: str, *, level: int = 0, **markup: bool) -> None:
        if self.reporter is None or self.verbosity < level:
            return
        if not self.erase():
            self._end_line()
        self.reporter.write_line(clean_text(line), **markup)

    def write_over(self, line: str) -> None:
        """Show a live line until the next line is written."""
        if self._live is None:
            self._end_line()
        text = clean_text(line)
        self._overwrite(text)
        self._live = width(text)

    def erase(self) -> bool:
        """Remove the live line, and leave the cursor at the start of its row. Return False if there is no live line."""
        if self._live is None:
            return False
        self._overwrite("")
        self.reporter.rewrite("")
        self._live = None
        return True

    def _overwrite(self, text: str) -> None:
        """Overwrite the live line, with as few blanks as possible: a terminal that became narrower would wrap them."""
        covered = min(self._live or 0, self.columns - 1)
        self.reporter.rewrite(text + " " * (covered - width(text)))

    def _end_line(self) -> None:
        """End an unfinished line of another reporter, for example its progress line."""
        self.reporter.ensure_newline()
        if self._config.get_terminal_writer().width_of_current_line:
            self.reporter.write_line("")

    def outside_capture(self) -> Any:
        manager = self._config.pluginmanager.get_plugin("capturemanager")
        return manager.global_and_fixture_disabled() if manager else nullcontext()
