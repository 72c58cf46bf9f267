"""Attempts that fail around their agent: full disk, Ctrl-C at a critical moment. Their cost is recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

WORKFLOW = """\
name: mine
steps:
  - name: impl
    agent: odd
    prompt: Do it.
"""
AGENT = """\
import os, resource, signal, sys, time
from pytest_gump.agents.base import Command
from pytest_gump.agents.cassettes.neutral import NeutralReader

def interrupt():
    if not os.path.exists(FLAG):
        open(FLAG, "w").close()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

class Odd:
    name = cli = "odd"
    cost = "reported"
    def missing(self):
        return None
    def command(self, task):
        before()
        return Command((sys.executable, PROGRAM))
    def reader(self, task):
        return Reader(task, cli=self.cli)

def pytest_gump_agents():
    return {"odd": Odd()}

def before():
    pass

class Reader(NeutralReader):
    pass
"""
PROGRAM = """\
import json, pathlib, time
def say(**fields):
    print(json.dumps(fields), flush=True)
say(type="turn")
say(type="usage", tokens={"input": 10}, cost_usd=0.25)
pathlib.Path("new.txt").write_text("x")
"""
END = 'say(type="result", outcome="ok", message="Done.")\n'


def run(project: GumpProject, agent: str, program: str, *options: str) -> Any:
    place = project.path.parent / f"{project.path.name}-odd"
    place.mkdir()
    (place / "agent.py").write_text(PROGRAM + program)
    names = f"FLAG, PROGRAM = {str(place / 'flag')!r}, {str(place / 'agent.py')!r}\n"
    project.write({"conftest.py": names + AGENT + agent})
    project.workflow("mine", WORKFLOW)
    return project.pytester.runpytest_subprocess("--gump-workflow=mine", *options, "spec.md")


@pytest.mark.skipif(sys.platform == "darwin", reason="RLIMIT_FSIZE behaves differently on macOS")
@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_full_disk_while_the_agent_prints_keeps_the_cost(project: GumpProject, workers: str) -> None:
    limit = "\ndef before():\n    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
    flood = 'for _ in range(100):\n    say(type="text", text="y" * 10_000)\ntime.sleep(600)\n'
    result = run(project, limit, flood, workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    record = project.record()
    assert record.total.cost_usd == 0.25
    assert str(record.steps["impl"].outcome) == "agent_error"
    assert record.steps["impl"].reason == "its output cannot be stored: File too large"
    result.stdout.fnmatch_lines(["*its output cannot be stored: File too large*"])


FINISHING = """
class Reader(NeutralReader):
    def finish(self, **ended):
        interrupt()
        return super().finish(**ended)
"""
REPORTING = """
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.when == "call":
        interrupt()
    return (yield)
"""
DECIDING = """
def pytest_runtest_teardown(item):
    interrupt()
"""


@pytest.mark.parametrize(
    ("moment", "outcome"),
    [(FINISHING, "cancelled"), (REPORTING, "passed"), (DECIDING, "passed")],
    ids=["finishing", "reporting", "deciding"],
)
def test_interrupt_around_an_attempt_records_its_result(project: GumpProject, moment: str, outcome: str) -> None:
    result = run(project, moment, END, "-n0")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    record = project.record()
    assert (record.status, record.total.cost_usd, record.total.unknown) == ("cancelled", 0.25, 0)
    assert [str(one.result.outcome) for one in record.attempts if one.result] == [outcome]
    assert record.attempts[0].folder is not None
