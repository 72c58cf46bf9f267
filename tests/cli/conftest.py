from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pytest_gump.cli.program import main

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

WORKFLOW = """
name: pair
description: Two changes, one after the other
max_budget: 1.00
steps:
  - name: first
    agent: claude-haiku
    prompt: "Do the first half: {spec}"
    gate: ["touched: *.py"]
    on_failure: { retry: 3, strategy: [same, "escalate: claude-sonnet"] }
  - name: second
    agent: claude-haiku
    prompt: Do the second half
    gate: ["touched: *.py"]
"""


@dataclass(frozen=True, slots=True)
class Gump:
    """Runs the command in the project's folder."""

    project: GumpProject
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        self.capture.readouterr()
        code = main(words)
        output = self.capture.readouterr()
        return code, output.out, output.err

    def good(self, *words: str) -> str:
        code, output, errors = self(*words)
        assert (code, errors) == (0, "")
        return output

    def bad(self, *words: str, code: int = 1) -> str:
        found, output, errors = self(*words)
        assert (found, output) == (code, "")
        return errors


def gump_apart(folder: Path, words: str) -> subprocess.CompletedProcess[bytes]:
    """Run `gump` in a shell, as a user does."""
    command = words.replace("gump ", f"{sys.executable} -m pytest_gump ")
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)


@pytest.fixture
def gump(gump_project: GumpProject, saved: Saved, capsys: pytest.CaptureFixture[str]) -> Gump:
    saved.give("pair", gump_project, _with_the_workflow)
    return Gump(gump_project, capsys)


@pytest.fixture
def passed(gump_project: GumpProject, saved: Saved, capsys: pytest.CaptureFixture[str]) -> Gump:
    """Return the command in the project of a passed run whose first step needed two attempts."""
    saved.give("passed", gump_project, _passed)
    return Gump(gump_project, capsys)


@pytest.fixture
def failed(gump_project: GumpProject, saved: Saved, capsys: pytest.CaptureFixture[str]) -> Gump:
    """Return the command in the project of a run whose first step passed and whose second step failed."""
    saved.give("failed", gump_project, _failed)
    return Gump(gump_project, capsys)


def _with_the_workflow(project: GumpProject) -> None:
    project.write({"app.py": "one = 1\ntwo = 2\nthree = 3\nfour = 4\nfive = 5\n"})
    project.workflow("pair", textwrap.dedent(WORKFLOW))


def _passed(project: GumpProject) -> None:
    _with_the_workflow(project)
    project.answer("first", writes={"notes.txt": "hm\n"}, says="\x1b[31mI only took notes.", cost_usd=0.25, turns=3)
    project.answer("first", attempt=2, agent="claude-sonnet", writes={"first.py": "first = 1\n"}, cost_usd=0.5)
    project.answer("second", writes={"second.py": "second = 2\n"}, cost_usd=None)
    project.run("pair").assert_outcomes(passed=2)


def _failed(project: GumpProject) -> None:
    _with_the_workflow(project)
    project.answer("first", writes={"first.py": "first = 1\n"})
    project.answer("second", writes={"notes.txt": "hm\n"})
    project.run("pair").assert_outcomes(passed=1, failed=1)
