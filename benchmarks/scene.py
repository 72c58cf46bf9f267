"""Scratch projects on tmpfs, and pytest sessions in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Cost, run
from pytest_gump.agents.cassettes import neutral

if TYPE_CHECKING:
    from collections.abc import Iterator

TMPFS = Path("/dev/shm")
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:anyio",
}
"""Bytecode is written, as for users, so only the first round compiles modules. Plugins of the development environment
are not loaded: hypothesis takes longer to import than the rest of an empty session.
"""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

CONFTEST = '''\
"""Agents that take almost no time, so that everything else is measured."""

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


class Claude(Scripted):
    """Prints a stream of Claude Code, which the reader of Claude Code reads."""

    def reader(self, task):
        from pytest_gump.agents.family import FAMILIES

        return FAMILIES["claude"].reads(task, None)


def pytest_gump_agents():
    return {
        "idle": Scripted("idle", 'exec cat "$1/stream.ndjson"'),
        "writer": Scripted("writer", 'echo "$2" > "made-$2.txt"; exec cat "$1/stream.ndjson"'),
        "sleeper": Scripted("sleeper", 'sleep 2; echo "$2" > "made-$2.txt"; exec cat "$1/stream.ndjson"'),
        "planner": Scripted("planner", 'cp "$1/plan.json" .gump/out/; exec cat "$1/stream.ndjson"'),
        "talker": Claude("talker", 'pwd > "$1/worktree"; exec cat "$1/claude.ndjson"', cli="claude"),
    }
'''

ONE = """\
name: one
steps:
  - {name: change, agent: writer, prompt: Write., gate: ["bash: true"]}
"""
ITEMS = """\
name: items
steps:
  - {{name: plan, agent: planner, output: plan, prompt: Plan.}}
  - name: build
    foreach: plan
    parallel: {parallel}
    steps:
      - {{name: change, agent: {agent}, prompt: "{{item.name}}", gate: ["bash: true"]}}
"""


@contextmanager
def workspace() -> Iterator[Path]:
    """Provide a folder, on tmpfs if it exists, so that the speed of the disk is not measured."""
    with tempfile.TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None, prefix="gump-bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Project:
    """A repository with the agents of CONFTEST, and a workflow `one` with one step that writes a file."""

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
        (folder / "agent").mkdir()
        project.plan(items)
        (folder / "agent" / "stream.ndjson").write_text(
            "".join(f"{json.dumps(event)}\n" for event in neutral.conversation("Done."))
        )
        project.git("init", "--quiet", "--initial-branch=main")
        project.git("add", "--all")
        project.git("commit", "--quiet", "--message", "base")
        project.workflow("one", ONE)
        return project

    def plan(self, items: int) -> None:
        """Set the number of items that the agent `planner` plans."""
        names = [f"item-{number}" for number in range(1, items + 1)]
        plan = json.dumps([{"name": name, "description": name} for name in names])
        (self.path.parent / "agent" / "plan.json").write_text(plan)

    @property
    def cache(self) -> Path:
        """The cache folder, which contains the worktrees."""
        return self.path.parent / "cache"

    def git(self, *words: str) -> Cost:
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
        return run(["git", *identity, *words], cwd=self.path, environment=ENVIRONMENT)

    def snapshot(self) -> Cost:
        """Measure the least work of a snapshot: after one file changes, git compares all files and writes the tree."""
        changed = self.path / "floor.txt"
        changed.write_text(str(time.time_ns()))
        cost = self.git("add", "--all") + self.git("write-tree")
        self.git("reset", "--quiet")
        changed.unlink()
        return cost

    def workflow(self, name: str, text: str) -> None:
        path = self.path / ".gump" / "workflows" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def items(self, *, agent: str = "writer", parallel: bool = False) -> None:
        """Write the workflow `items`: a plan, and one step for each of its items."""
        self.workflow("items", ITEMS.format(agent=agent, parallel=str(parallel).lower()))

    def pytest(self, *words: str, expect: int = 0, **environment: str) -> Cost:
        return run([*PYTEST, *words], cwd=self.path, environment=self.environment(**environment), expect=expect)

    def gump(self, *words: str) -> Cost:
        return run([sys.executable, "-m", "pytest_gump", *words], cwd=self.path, environment=self.environment())

    def environment(self, **more: str) -> dict[str, str]:
        return {**ENVIRONMENT, "XDG_CACHE_HOME": str(self.cache), **more}

    def bare(self) -> Cost:
        """Run a pytest session without tests and conftest, with the plugin disabled."""
        empty = self.path.parent / "empty"
        empty.mkdir(exist_ok=True)
        return run([*PYTEST, "-p", "no:gump"], cwd=empty, environment=self.environment(), expect=5)

    def newest_run(self) -> Path:
        return max((self.path / ".gump" / "runs").glob("2*"), key=lambda path: path.stat().st_mtime_ns)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one kind in the ledger of the newest run."""
        lines = (self.newest_run() / "ledger.ndjson").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def git_commands(self, *words: str) -> list[str]:
        """Run a session, and return its git commands. A `git` script at the front of PATH logs them."""
        shim, log = self.path.parent / "shim", self.path.parent / "git.log"
        shim.mkdir(exist_ok=True)
        (shim / "git").write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {shutil.which("git")} "$@"\n')
        (shim / "git").chmod(0o755)
        log.unlink(missing_ok=True)
        self.pytest(*words, PATH=f"{shim}:{ENVIRONMENT['PATH']}")
        return log.read_text(errors="replace").splitlines()


def python(*words: str, cwd: Path) -> Cost:
    return run([sys.executable, *words], cwd=cwd, environment=ENVIRONMENT)


def output(*words: str, cwd: Path) -> str:
    """Return the output of a Python program."""
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()
