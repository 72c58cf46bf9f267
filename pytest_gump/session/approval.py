"""Asks the person at the terminal about attempts that need an approval.

Only a session on a real terminal and outside of CI asks, and only while no other attempt is running. In all other
sessions the attempt waits for `gump approve`.
"""

from __future__ import annotations

import os
import signal
import sys
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.approvals import Given
from pytest_gump.engine.reporting.approval_text import describe_question, diff_lines, person
from pytest_gump.errors import WorktreeError
from pytest_gump.session.interrupts import terminable
from pytest_gump.system.processes.process_table import inherited_mark
from pytest_gump.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_gump.engine.record.approvals import Question
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.reporters.screen import Screen
    from pytest_gump.system.git.repository import Repository

CHOICES: Final = "y = approve, n = reject with a reason, d = show the diff, q = leave it waiting"
_LEVEL: Final = -9
"""Verbosity at which questions are shown: always."""


class Approver:
    def __init__(self, config: pytest.Config, screen: Screen) -> None:
        self._config = config
        self._screen = screen

    def ask(self, question: Question, record: RunRecord, repository: Repository) -> Given | None:
        """Ask until there is an answer; None if the attempt must wait, also without a terminal.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        with self._outside_capture(), terminable(signal.SIGINT):
            return self._talk(question, record, repository) if self._has_terminal() else None

    def _has_terminal(self) -> bool:
        in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
        reporter = self._screen.reporter
        is_terminal = sys.stdin is not None and sys.stdin.isatty() and reporter is not None and reporter.isatty
        return is_terminal and not in_ci and not inherited_mark(os.getpid())

    def _talk(self, question: Question, record: RunRecord, repository: Repository) -> Given | None:
        self._show("", *_described(question, record, repository))
        while True:
            termios.tcflush(sys.stdin, termios.TCIFLUSH)  # earlier input is not an answer
            answer = self._read(f"approve {question.about}? [y/n/d/q] ")
            word, _, rest = ("q" if answer is None else answer).partition(" ")
            match word.lower():
                case "y" | "yes" if not rest:
                    if (by := self._who(repository)) is not None:
                        return Given(approved=True, by=by)
                case "n" | "no":
                    why = rest.strip() or self._read("why? ")
                    if why and (by := self._who(repository)) is not None:
                        return Given(approved=False, by=by, text=why)
                    self._show("" if why else "a rejection needs a reason: the next prompt contains it")
                case "d" | "diff":
                    self._show(*diff_lines(question, repository))
                case "q" | "quit":
                    return None
                case _:
                    self._show(CHOICES)

    def _who(self, repository: Repository) -> str | None:
        known: str | None = person(repository)
        while known == "":
            known = self._read("git has no name for you; your name: ")
        return known

    def _read(self, prompt: str) -> str | None:
        """Return a line that the person types, cleaned; None at the end of the input (Ctrl-D)."""
        self._screen.write("", level=_LEVEL)
        sys.stdout.write(prompt)  # the reporter would add an empty line to the one that the person ends
        sys.stdout.flush()
        line = b""
        try:
            line = sys.stdin.buffer.readline()
        finally:
            if not line.endswith(b"\n"):  # Ctrl-C or Ctrl-D
                sys.stdout.write("\n")
        return clean_text(line.decode(sys.stdin.encoding, "replace")).strip() if line else None

    def _show(self, *lines: str) -> None:
        for line in lines:
            self._screen.write(line, level=_LEVEL)

    @contextmanager
    def _outside_capture(self) -> Iterator[None]:
        """Context in which standard input is the terminal, not the one of pytest's capture."""
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            yield
            return
        with self._screen.outside_capture():
            capture.suspend_global_capture(in_=True)
            try:
                yield
            finally:  # pytest captures only inside of phases, but replaces the input all the time
                capture.resume_global_capture()
                capture.suspend_global_capture()


def _described(question: Question, record: RunRecord, repository: Repository) -> list[str]:
    try:
        return describe_question(question, record, repository)
    except WorktreeError as error:
        return [f"{question.about} waits for approval of {question.commit[:10]}", str(error.args[0])]
