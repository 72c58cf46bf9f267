"""What the benchmarks share: scratch projects on tmpfs, pytest sessions in them, and the table of figures."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.agents.cassettes import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TMPFS = Path("/dev/shm")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Modules are compiled once, as for a user; the first round of everything pays for it."""

CONFTEST = '''\
"""Agents that cost as good as nothing: what is measured is the rest."""

from dataclasses import dataclass
from pathlib import Path

from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader

HERE = Path(__file__).parent.parent / "agent"


@dataclass(frozen=True)
class Scripted:
    name: str
    script: str
    cli: str = "replay"
    cost: str = "reported"

    def missing(self):
        return None

    def command(self, task):
        return Command(("/bin/sh", "-c", self.script, "sh", str(HERE), task.item or ""))

    def reader(self, task):
        return NeutralReader(task, cli=self.cli)


def pytest_gump_agents():
    return {
        "idle": Scripted("idle", 'exec cat "$1/stream.ndjson"'),
        "writer": Scripted("writer", 'echo "$2" > "made-$2.txt"; exec cat "$1/stream.ndjson"'),
        "sleeper": Scripted("sleeper", 'sleep 2; echo "$2" > "made-$2.txt"; exec cat "$1/stream.ndjson"'),
        "slow-planner": Scripted(
            "slow-planner", 'sleep 20; cp "$1/plan.json" .gump/out/; exec cat "$1/stream.ndjson"'
        ),
        "planner": Scripted("planner", 'cp "$1/plan.json" .gump/out/; exec cat "$1/stream.ndjson"'),
    }
'''


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder on tmpfs, where there is one: what is measured is our work and not the disk."""
    with tempfile.TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None, prefix="gump-bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Project:
    """A repository whose conftest gives the agents `idle`, `writer`, `sleeper` and `planner`."""

    path: Path

    @classmethod
    def make(cls, folder: Path, *, files: int = 5, items: int = 1) -> Project:
        project = cls(folder / "project")
        for number in range(files):
            path = project.path / f"d{number % 500:03d}" / f"f{number:05d}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{number}\n" * 20)
        (project.path / "conftest.py").write_text(CONFTEST)
        (project.path / "spec.md").write_text("# Nothing\n")
        (project.path / ".gitignore").write_text("__pycache__/\n")
        agent = folder / "agent"
        agent.mkdir()
        names = [f"item-{number}" for number in range(1, items + 1)]
        (agent / "plan.json").write_text(json.dumps([{"name": name, "description": name} for name in names]))
        (agent / "stream.ndjson").write_text(
            "".join(f"{json.dumps(event)}\n" for event in neutral.conversation("Done."))
        )
        project.git("init", "--quiet", "--initial-branch=main")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", "base")
        return project

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, "-C", str(self.path), *words], check=True, stdout=subprocess.DEVNULL)

    def workflow(self, name: str, text: str) -> None:
        path = self.path / ".gump" / "workflows" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def newest_run(self) -> Path:
        return max((self.path / ".gump" / "runs").glob("2*"))

    def pytest(self, *words: str, expect: int = 0, path: Path | None = None, profile: Sequence[str] = ()) -> float:
        """Run a session and give its wall time; `path` is put before PATH."""
        environment = {**ENVIRONMENT, "XDG_CACHE_HOME": str(self.path.parent / "cache")}
        if path is not None:
            environment["PATH"] = f"{path}:{environment['PATH']}"
        command = [*profile, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        return run(command, cwd=self.path, environment=environment, expect=expect)


def run(command: Sequence[str], *, cwd: Path, environment: dict[str, str] | None = None, expect: int = 0) -> float:
    """Run a program and give its wall time; ends everything with its output when it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environment or ENVIRONMENT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    took = time.perf_counter() - began
    if done.returncode != expect:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
    return took


def counting_git(folder: Path) -> tuple[Path, Path]:
    """A folder for PATH whose `git` writes a line to the log, the second value, and then is git."""
    real, log = shutil.which("git"), folder / "git.log"
    shim = folder / "shim"
    shim.mkdir()
    (shim / "git").write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {real} "$@"\n')
    (shim / "git").chmod(0o755)
    return shim, log


def show(label: str, figure: float, unit: str, *, target: float | None = None, at_least: bool = False) -> None:
    """Print one row: figure, target, and whether it is met."""
    row = f"{label:<58} {figure:10.1f} {unit:<5}"
    if target is not None:
        met = figure >= target if at_least else figure <= target
        row += f" {'>=' if at_least else '<='} {target:<7g} {'met' if met else 'NOT MET'}"
    print(row.rstrip(), flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
