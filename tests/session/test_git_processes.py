"""How often a run starts git. A start takes a few milliseconds, the scan of a large tree a tenth of a second."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.testing import GumpProject

GATE = "gate: [{bash: 'true'}]"
ONE = f"""\
name: one-step
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    {GATE}
"""
ITEMS = f"""\
name: items
steps:
  - name: plan
    agent: claude-haiku
    output: plan
    prompt: Plan.
  - name: build
    foreach: plan
    steps:
      - name: impl
        agent: claude-haiku
        prompt: Do it.
        {GATE}
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that lists the git commands since its last call, without their `-c` settings."""
    log, folder = tmp_path / "git.log", tmp_path / "bin"
    folder.mkdir()
    git = folder / "git"
    git.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec "{shutil.which("git")}" "$@"\n')
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def taken() -> list[str]:
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [line.rpartition(" -c ")[2].partition(" ")[2] for line in lines]

    return taken


def test_a_run_of_one_step_starts_few_git_commands(
    gump_project: GumpProject, commands: Callable[[], list[str]]
) -> None:
    gump_project.workflow("one-step", ONE)
    gump_project.answer("impl", writes={"new.py": "x = 1\n"})
    gump_project.run("one-step").assert_outcomes(passed=1)  # the next run reuses its worktree
    commands()
    gump_project.run("one-step").assert_outcomes(passed=1)
    started = commands()
    assert len(started) <= 12, "\n".join(started)


def test_an_additional_item_starts_few_git_commands(
    gump_project: GumpProject, commands: Callable[[], list[str]]
) -> None:
    gump_project.workflow("items", ITEMS)
    counts = []
    for number in (1, 2, 3):  # the first run creates the worktree
        names = [f"item-{index}" for index in range(number)]
        gump_project.plan("plan", *names)
        for name in names:
            gump_project.answer(f"build::impl[{name}]", writes={f"{name}.py": "x = 1\n"})
        commands()
        gump_project.run("items").assert_outcomes(passed=number + 1)
        counts.append(commands())
    _, fewer, more = counts
    assert len(more) - len(fewer) <= 4, "\n".join(more)
