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
"""Modules are compiled once, as for a user; the first round of everything pays for it. Without the plugins that only a
development environment has: hypothesis takes longer to import than the rest of an empty session."""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

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


class Claude(Scripted):
    """Prints a stream of Claude Code, read by its own reader."""

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
    """A folder on tmpfs, where there is one: what is measured is our work and not the disk."""
    with tempfile.TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None, prefix="gump-bench-") as folder:
        yield Path(folder)


@dataclass(frozen=True, slots=True)
class Project:
    """A repository whose conftest gives the agents of CONFTEST; its workflow `one` is a step that writes a file."""

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
        """Have the agent `planner` plan so many items."""
        names = [f"item-{number}" for number in range(1, items + 1)]
        plan = json.dumps([{"name": name, "description": name} for name in names])
        (self.path.parent / "agent" / "plan.json").write_text(plan)

    @property
    def cache(self) -> Path:
        """Where the worktrees are."""
        return self.path.parent / "cache"

    def git(self, *words: str) -> Cost:
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
        return run(["git", *identity, *words], cwd=self.path, environment=ENVIRONMENT)

    def snapshot(self) -> Cost:
        """What a snapshot costs at least: a file changes, git looks at all of them and writes the tree."""
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
        """Have a workflow `items`: a plan, and one step for each of its items."""
        self.workflow("items", ITEMS.format(agent=agent, parallel=str(parallel).lower()))

    def pytest(self, *words: str, expect: int = 0, **environment: str) -> Cost:
        return run([*PYTEST, *words], cwd=self.path, environment=self.environment(**environment), expect=expect)

    def gump(self, *words: str) -> Cost:
        return run([sys.executable, "-m", "pytest_gump", *words], cwd=self.path, environment=self.environment())

    def environment(self, **more: str) -> dict[str, str]:
        return {**ENVIRONMENT, "XDG_CACHE_HOME": str(self.cache), **more}

    def bare(self) -> Cost:
        """A pytest session without tests and without a conftest, and with the plugin switched off."""
        empty = self.path.parent / "empty"
        empty.mkdir(exist_ok=True)
        return run([*PYTEST, "-p", "no:gump"], cwd=empty, environment=self.environment(), expect=5)

    def newest_run(self) -> Path:
        return max((self.path / ".gump" / "runs").glob("2*"), key=lambda path: path.stat().st_mtime_ns)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Events of one kind in the ledger of the newest run."""
        lines = (self.newest_run() / "ledger.ndjson").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def git_commands(self, *words: str) -> list[str]:
        """The git commands of a session: a `git` in front of PATH keeps a log."""
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
    """What a Python program prints."""
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()
