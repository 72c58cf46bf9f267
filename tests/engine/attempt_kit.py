"""A temporary repository and an agent that is a Python script, for tests of whole attempts."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader
from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.tools import Tools
from pytest_gump.order import Limits, Order, Section
from pytest_gump.settings.settings import Settings
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.worktrees.slots import Slots
from pytest_gump.workflow.model import GateSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_gump.agents.base import StreamReader, Task
    from pytest_gump.agents.usage import Provenance
    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.order import AttemptResult
    from pytest_gump.system.processes.process import Supervisor

PRELUDE = """
import json, os, pathlib, subprocess, sys, time
prompt = sys.stdin.read()
def write(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)
def spend(usd):
    say("usage", tokens={"input": 100, "output": 10}, cost_usd=usd)
say("started", session_id="session-1", model="test-model")
say("turn")
"""
FINISH = """
say("result", outcome="ok", message="Done.")
"""


@dataclass(frozen=True)
class ScriptAgent:
    script: str
    name: str = "scripted"
    cli: str = "replay"
    cost: Provenance = "reported"
    env_names: tuple[str, ...] = ()
    program: str = sys.executable
    tasks: list[Task] = field(default_factory=list)

    def missing(self) -> str | None:
        return None

    def command(self, task: Task) -> Command:
        self.tasks.append(task)
        return Command((self.program, "-c", PRELUDE + self.script), task.prompt.encode(), env_names=self.env_names)

    def reader(self, task: Task) -> StreamReader:
        return NeutralReader(task, cli=self.cli)


class Kit:
    def __init__(self, tmp_path: Path, supervisor: Supervisor) -> None:
        self.root = tmp_path / "project"
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "test@localhost")
        self.git("config", "user.name", "test")
        self.supervisor = supervisor
        self.place = tmp_path
        self.scratch = tmp_path / "scratch"
        self.scratch.mkdir()
        self.events: list[AttemptEvent] = []
        self.settings = Settings(stop_grace_s=0.5)
        self.gates: dict[str, Callable[[Any], None]] = {}
        self.agent = ScriptAgent(FINISH)
        self.base = self.commit({"app.py": "x = 1\n", "README.md": "hello\n", ".gitignore": "*.log\nbuild/\n"})

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change", "--allow-empty")
        return self.git("rev-parse", "HEAD")

    @property
    def repository(self) -> Repository:
        return Repository.open(self.root)

    def tools(self) -> Tools:
        repository = self.repository
        return Tools(
            repository=repository,
            slots=Slots(repository, self.place / "slots"),
            supervisor=self.supervisor,
            agents=lambda _name: self.agent,
            gates=self.gates,
            settings=self.settings,
            scratch=self.scratch,
            listen=self.events.append,
        )

    def order(self, **changes: Any) -> Order:
        order = Order(
            run_id="run-1",
            step="build",
            attempt=1,
            mode="diff",
            agent="scripted",
            base=self.base,
            step_base=changes.get("base", self.base),
            run_base=self.base,
            slot="one",
            head=(Section("Your task", "Change it."),),
        )
        return replace(order, **changes)

    def script(self, script: str, *, finish: bool = True, env_names: tuple[str, ...] = ()) -> ScriptAgent:
        source = textwrap.dedent(script) + (FINISH if finish else "")
        self.agent = ScriptAgent(source, env_names=env_names)
        return self.agent

    def run(self, script: str | None = None, **changes: Any) -> AttemptResult:
        if script is not None:
            self.script(script)
        return execute(self.order(**changes), self.tools())

    def files(self, commit: str | None) -> dict[str, str]:
        assert commit is not None
        names = self.git("ls-tree", "-r", "--name-only", commit).splitlines()
        return {name: self.git("show", f"{commit}:{name}") for name in names}


def bash(*commands: str) -> tuple[GateSpec, ...]:
    return tuple(GateSpec("bash", command) for command in commands)


def scratch_of(result: AttemptResult) -> Path:
    assert result.scratch is not None
    return Path(result.scratch)


def json_of(path: Path) -> Any:
    return json.loads(path.read_text())


__all__ = ["FINISH", "GateSpec", "Kit", "Limits", "ScriptAgent", "bash", "json_of", "scratch_of"]
