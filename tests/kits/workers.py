"""Helpers for tests of workers: workflows, the state of running agents, and ways to lose a worker."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

SIDE: Final = """\
name: side
steps:
  - name: both
    parallel: true
    steps:
      - name: left
        agent: claude-haiku
        prompt: Do the left.
        gate: [compile]
      - name: right
        agent: codex
        prompt: Do the right.
        gate: [compile]
"""

FATAL_GATE: Final = """\
import os

def pytest_gump_gates():
    return {"fatal": fatal}

def fatal(step):
    if not os.path.exists("FLAG"):
        open("FLAG", "w").close()
        os.kill(os.getppid(), 9)
"""

GATED: Final = """\
name: gated
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [fatal]
"""


def write_side(project: GumpProject, *, pauses_s: float = 0.0) -> None:
    project.workflow("side", SIDE)
    for name in ("left", "right"):
        project.answer(f"both::{name}", writes={f"{name}.py": "x = 1\n"}, cost_usd=0.25, pauses_s=[pauses_s] * 4)


def cache(project: GumpProject) -> Path:
    """Return the folder of the worktrees."""
    places = (project.path.parent / f"{project.path.name}-cache" / "gump" / "worktrees").glob("*")
    return next(places, Path("none"))


def said(project: GumpProject, words: bytes) -> int:
    """Return how many running agents have printed this text. Folders may be created and deleted meanwhile."""
    count = 0
    with suppress(FileNotFoundError):
        for path in cache(project).glob("*.scratch/*/*/stream.ndjson"):
            count += words in path.read_bytes()
    return count


def rest() -> None:
    """Wait until a session waits for its agents before Ctrl-C. An interrupt in code that coverage sees for the first time
    would leave a lock of coverage locked, and the session would hang.
    """
    time.sleep(1.0)
