"""Modules that a session and its workers load. Each module and each dataclass adds a fraction of a millisecond to a start."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.family import FAMILIES

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

LOADED = '''\
import dataclasses, json, sys

def loaded():
    """All modules, and those of this package with their dataclasses and the loader that read them."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        classes = [
            key for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == name and "__dataclass_fields__" in vars(value)
        ] if name.startswith("pytest_gump") else []
        found[name] = [classes, type(module.__spec__.loader).__name__ if getattr(module, "__spec__", None) else ""]
    return found
'''
AGENT = """\
import json
from pathlib import Path
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes import neutral

class Writer:
    name, cli, cost = "writer", "replay", "reported"

    def missing(self):
        return None

    def command(self, task):
        lines = "\\n".join(json.dumps(event) for event in neutral.conversation("Done."))
        return Command(("sh", "-c", 'echo x > "made-$2.txt"; echo "$1"', "sh", lines, task.item or "it"))

    def reader(self, task):
        return neutral.NeutralReader(task, cli=self.cli)

def pytest_gump_agents():
    return {"writer": Writer()}

def pytest_unconfigure(config):
    worker = getattr(config, "workerinput", {"workerid": "main"})
    Path(config.rootpath, "loaded." + worker["workerid"]).write_text(json.dumps(loaded()))
"""
STEP = """\
name: small
steps:
  - name: impl
    agent: writer
    prompt: Do it.
    gate: [{bash: "true"}]
"""


@dataclass(frozen=True)
class Loaded:
    modules: dict[str, tuple[list[str], str]]

    @classmethod
    def read(cls, text: str) -> Loaded:
        return cls({name: (classes, loader) for name, (classes, loader) in json.loads(text).items()})

    @property
    def own(self) -> list[str]:
        return [name for name in self.modules if name.startswith("pytest_gump")]

    @property
    def dataclasses(self) -> list[str]:
        return [f"{name}.{one}" for name in self.own for one in self.modules[name][0]]

    def check(self, *, modules: int, dataclasses: int, without: str) -> None:
        """Compare with the limits; `without` names packages and modules that must not be loaded."""
        assert [name for name in without.split() if name in self.modules] == []
        assert len(self.own) <= modules, "\n".join(self.own)
        assert len(self.dataclasses) <= dataclasses, "\n".join(self.dataclasses)


def alone(folder: Path, statement: str) -> Loaded:
    """Return what a new process loads for a statement. The last line of its output is the result."""
    code = f"{LOADED}\nimport pytest_gump\n{statement}\nprint(); print(json.dumps(loaded()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return Loaded.read(done.stdout.splitlines()[-1])


def session(project: GumpProject, *options: str, workflow: str = STEP) -> Path:
    project.write({"conftest.py": LOADED + AGENT})
    project.workflow("small", workflow)
    project.commit()
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", "-p", "no:anyio", "--gump-workflow=small"]
    done = subprocess.run(
        [*command, *options, "spec.md"], cwd=project.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return project.path


@pytest.fixture
def ran(project: GumpProject, saved: Saved) -> GumpProject:
    """Return a project in which a session of one step has run."""
    saved.give("small", project, _run)
    return project


def _run(project: GumpProject) -> None:
    session(project)


def test_a_pytest_session_loads_few_modules(tmp_path: Path) -> None:
    loaded = alone(tmp_path, "import pytest, pytest_gump.plugin, pytest_gump.hookspecs, pytest_gump.options")
    loaded.check(modules=7, dataclasses=0, without="pydantic yaml git xdist psutil pathspec genai_prices")


@pytest.mark.parametrize(
    ("command", "modules", "dataclasses"), [("status", 40, 12), ("report", 60, 56)], ids=["status", "report"]
)
def test_commands_load_only_what_they_need(ran: GumpProject, command: str, modules: int, dataclasses: int) -> None:
    loaded = alone(ran.path, f"from pytest_gump.cli.program import main; main(['{command}'])")
    loaded.check(modules=modules, dataclasses=dataclasses, without="pydantic yaml git xdist pathspec pytest")


def test_doctor_starts_only_git_if_no_cli_is_installed(project: GumpProject) -> None:
    """It does not load stream readers either: the adapters describe their programs."""
    record = """
import os, shutil, sys
os.makedirs("../bin")
os.symlink(shutil.which("git"), "../bin/git")
os.environ["PATH"] = os.path.abspath("../bin")
started = []
sys.addaudithook(lambda event, args: started.append(args[1][0]) if event == "subprocess.Popen" else None)
from pytest_gump.cli.program import main
main(["doctor"])
assert started == ["git"] * 8, started
"""
    assert "pytest_gump.agents.streams.json_reader" not in alone(project.path, record).modules


def test_doctor_without_a_workflow_does_not_load_attempts(project: GumpProject) -> None:
    loaded = alone(project.path, "from pytest_gump.cli.program import main; main(['doctor'])")
    loaded.check(
        modules=113 + len(FAMILIES), dataclasses=42, without="pydantic yaml git pytest_gump.engine.attempt.attempt"
    )


def test_a_dry_run_does_not_load_the_modules_of_a_run(ran: GumpProject) -> None:
    command = "from pytest_gump.cli.program import main; main(['run', 'spec.md', '--workflow', 'small', '--dry-run'])"
    loaded = alone(ran.path, command)
    loaded.check(modules=141, dataclasses=68, without="pydantic git psutil pathspec pytest_gump.engine.run.run")


def test_a_worker_loads_no_more_than_a_run_in_one_process(project: GumpProject) -> None:
    loaded = Loaded.read((session(project, "-n1") / "loaded.gw0").read_text())
    loaded.check(modules=159, dataclasses=74, without="pydantic git pytest_gump.engine.run.run")


def test_a_run_of_one_step_loads_only_what_it_needs(ran: GumpProject) -> None:
    loaded = Loaded.read((ran.path / "loaded.main").read_text())
    loaded.check(modules=250, dataclasses=106, without="pydantic git xdist.dsession pytest_gump.agents.clis.claude")


def test_the_modules_of_a_run_are_not_rewritten(ran: GumpProject) -> None:
    loaded = Loaded.read((ran.path / "loaded.main").read_text())
    assert "SourceFileLoader" in {loaded.modules[name][1] for name in loaded.own}
    rewritten = [name for name in loaded.own if loaded.modules[name][1] == "AssertionRewritingHook"]
    assert [name for name in rewritten if name.startswith(("pytest_gump.engine", "pytest_gump.agents"))] == []
