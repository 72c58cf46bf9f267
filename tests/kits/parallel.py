"""Parallel workflows with an agent that is a real child process. The test contains its script."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from tests.kits.script_agent import CONFTEST

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

PRELUDE: Final = """\
import json, os, pathlib, sys, time
step, item, attempt = sys.argv[1], sys.argv[2], int(sys.argv[3])
prompt = sys.stdin.read()
out = pathlib.Path(".gump/out")

def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)

def usage(usd):
    say("usage", tokens={"input": 100, "output": 10}, cost_usd=usd)

def write(name, text):
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

def plan(*items):
    (out / "plan.json").write_text(json.dumps(items))

say("started", session_id=f"{step}-{item}-{attempt}", model="test-model")
say("turn")
"""

WORKFLOW: Final = """\
name: side
steps:
  - {name: decompose, agent: script, output: plan, prompt: Split it.}
  - name: build
    foreach: decompose
    parallel: true
    steps:
      - name: impl
        agent: script
        prompt: "Do {item.name}. {error}"
        on_failure: {retry: 3, strategy: ["same: 3"]}
  - {name: quality, gate: [compile]}
"""


def prepare(project: GumpProject, script: str, *, workflow: str = WORKFLOW) -> None:
    """Add the agent that runs `script`, and the workflow `side`, to the project."""
    path = project.path.parent / f"{project.path.name}-agent.py"
    path.write_text(PRELUDE + textwrap.dedent(script) + '\nsay("result", outcome="ok", message="Done.")\n')
    project.write({"conftest.py": CONFTEST.format(script=str(path))})
    project.workflow("side", workflow)


def run(project: GumpProject, *options: str) -> Any:
    return project.pytester.runpytest_inprocess("--gump-workflow=side", *options, "spec.md")
