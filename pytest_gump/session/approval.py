"""Asks the person at the terminal about attempts that need an approval.

Only a session that carries out its orders itself, on a real terminal and outside of CI, asks. In all other sessions
the attempt waits for `gump approve`.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.approvals import Given
from pytest_gump.engine.reporting.approval_text import describe_question, diff_lines, person
from pytest_gump.errors import WorktreeError
from pytest_gump.system.processes.session_clock import CLOCK

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
        with self._outside_capture():
            if not self._has_terminal():
                return None
            began = CLOCK()
            given = self._talk(question, record, repository)
        return None if given is None else given._replace(waited_s=round(max(0.0, CLOCK() - began), 3))

    def _has_terminal(self) -> bool:
        in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
        reporter = self._screen.reporter
        return not in_ci and sys.stdin is not None and sys.stdin.isatty() and reporter is not None and reporter.isatty

    def _talk(self, question: Question, record: RunRecord, repository: Repository) -> Given | None:
        self._show("", *_described(question, record, repository))
        while True:
            word = self._read(f"approve {question.step}? [y/n/d/q] ")
            match word[:1].lower():
                case "y":
                    return Given(approved=True, by=self._who(repository))
                case "n":
                    if why := word[1:].strip() or self._read("why? ").strip():
                        return Given(approved=False, by=self._who(repository), text=why)
                    self._show("a rejection needs a reason: the next prompt contains it")
                case "d":
                    self._show(*diff_lines(question, repository))
                case "q" | "\x04":
                    return None
                case _:
                    self._show(CHOICES)

    def _who(self, repository: Repository) -> str:
        known = person(repository)
        while not known:
            known = self._read("git has no name for you; your name: ").strip()
        return known

    def _read(self, prompt: str) -> str:
        """Read an answer; at the end of the input, the answer that leaves the attempt waiting."""
        self._screen.write("", level=_LEVEL)
        self._screen.reporter.write(prompt, flush=True)
        line = sys.stdin.readline()
        return line.strip() if line else "q"

    def _show(self, *lines: str) -> None:
        for line in lines:
            self._screen.write(line, level=_LEVEL)

    @contextmanager
    def _outside_capture(self) -> Iterator[None]:
        """Context in which the terminal is the standard input, not that of pytest's capture."""
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
        return [f"{question.step} waits for approval of {question.commit[:10]}", str(error.args[0])]
