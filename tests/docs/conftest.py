"""The demo, replayed once for all tests that need it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CASSETTE = EXAMPLES / "timesheet" / "cassette"


@dataclass(frozen=True, slots=True)
class Demo:
    code: int
    printed: str
    project: Path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run `make demo` with a JUnit file `j.xml`. Tests only read its project."""
    return play(tmp_path_factory.mktemp("demo") / "demo", CASSETTE, "--junitxml=j.xml")


def play(folder: Path, cassette: Path, *options: str) -> Demo:
    done = run(folder.parent, EXAMPLES / "demo.sh", folder, cassette, *options)
    return Demo(done.returncode, done.stdout, folder / "timesheet")


def run(cwd: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment with the folder as home."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean | {"PATH": path, "COLUMNS": "100", "HOME": str(cwd)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
