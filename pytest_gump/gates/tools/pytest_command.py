"""Guarded forms of detected Python commands: no file of the worktree can replace their tools."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.gates.tools.environment import is_python_project, source_roots

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = Path(__file__).with_name("pytest_program.py")
_PYTHON: Final = r"(?P<python>/[\w@%+=:,./-]+|'[^']+')"
_FOLDER: Final = r"(?P<cd>cd (?P<folder>[\w@%+=:,./-]+|'[^']+') && )?"
_PYTEST: Final = re.compile(rf"{_FOLDER}{_PYTHON} -m pytest(?P<options> --cov --cov-report=term)?")
_MEASURED: Final = re.compile(
    rf"{_FOLDER}{_PYTHON} -m coverage run (?P<source>--source=\. )?-m pytest(?P<rest> && .+)?", re.DOTALL
)
_TOOL: Final = re.compile(rf"{_FOLDER}{_PYTHON} -m (?P<tool>ruff check \.)")


class Guarded(NamedTuple):
    """A command that imports its tools before the worktree is on Python's path."""

    command: str
    gives_records: bool
    """True if the command writes a record per test to descriptor 3."""


def guarded(command: str, worktree: Path) -> Guarded | None:
    """Return the guarded form of a command that `detect` finds; None for any other command, which runs as written.

    Commands with another interpreter also run as written: it may have another version, or no pytest.
    """
    own = f"{shlex.quote(sys.executable)} -m "
    if not command.startswith(own) and f" && {own}" not in command:
        return None
    if found := _PYTEST.fullmatch(command):
        arguments = (*_roots(found, worktree), "--", *(found["options"] or "").split())
        return Guarded(f"{_program(found)} {shlex.join(arguments)}", gives_records=True)
    if found := _MEASURED.fullmatch(command):
        measure = "--measure=." if found["source"] else "--measure"
        arguments = (measure, *_roots(found, worktree), "--")
        return Guarded(f"{_program(found)} {shlex.join(arguments)}{found['rest'] or ''}", gives_records=True)
    if found := _TOOL.fullmatch(command):
        return Guarded(f"{found['cd'] or ''}{found['python']} -P -m {found['tool']}", gives_records=False)
    return None


def _program(found: re.Match[str]) -> str:
    return f"{found['cd'] or ''}{found['python']} -P {shlex.quote(str(PROGRAM))}"


def _roots(found: re.Match[str], worktree: Path) -> Iterator[str]:
    if found["folder"]:
        worktree = worktree.joinpath(*shlex.split(found["folder"]))
    if is_python_project(worktree):
        yield from (f"--root={root}" for root in source_roots(worktree))
