"""The built-in workflow `tdd` with real CLIs, scripted answers, real git and real gates.

Each CLI plans, writes tests and then twice the same wrong code. The step is then escalated to another CLI, which passes.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.family import FAMILIES
from pytest_gump.conformance.bench import SHARED
from pytest_gump.conformance.model.script import Answer, Scene, Script, Write
from pytest_gump.conformance.model.server import ModelServer
from pytest_gump.conformance.subjects import KEY, SUBJECTS

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

NEXT = {
    "claude": "codex",
    "codex": "gemini",
    "gemini": "qwen",
    "qwen": "opencode",
    "opencode": "copilot",
    "copilot": "claude",
}
"""The CLI that each CLI is escalated to."""

PLAN = [{"name": "double", "description": "double(x) gives 2 * x.", "files": ["double.py", "tests/test_double.py"]}]
TESTS = "from double import double\n\n\ndef test_double_of_three_is_six():\n    assert double(3) == 6\n"
RIGHT = "def double(x):\n    return 2 * x\n"
WRONG = "def double(x):\n    return x\n"


def scene(match: str, path: str, content: str) -> Scene:
    return Scene((Answer("I write it.", (Write(path, content),)), Answer("Written.")), match=match)


def playing(code: str) -> Script:
    return Script(
        (
            scene("Split the specification", ".gump/out/plan.json", json.dumps(PLAN)),
            scene("Write the tests for this item", "tests/test_double.py", TESTS),
            scene("Write the code that makes the tests", "double.py", code),
        )
    )


@pytest.fixture
def project(scratch: Path, gump_project: GumpProject, agents: Path, monkeypatch: pytest.MonkeyPatch) -> GumpProject:
    """Return a Python project, in an environment that contains no key but ours, with a home folder outside /tmp."""
    options = f"testpaths = ['tests']\ngump_agent_env = {list(SHARED)}\n"
    gump_project.write({"pyproject.toml": f"[tool.pytest.ini_options]\n{options}"})
    gump_project.write({"tests/test_old.py": "def test_old():\n    assert True\n"})
    gump_project.commit()
    monkeypatch.setenv("HOME", str(scratch))
    for name in [*os.environ]:
        if name.endswith(("_KEY", "_TOKEN", "_PROXY", "_proxy", "_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{Path(sys.executable).parent}")
    return gump_project


@pytest.mark.parametrize("cli", NEXT)
def test_the_tdd_workflow_passes_with_an_escalation_and_without_a_key_in_its_files(
    cli: str, project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = SUBJECTS[cli], SUBJECTS[NEXT[cli]]
    home = Path(os.environ["HOME"])
    slots = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    ini = f"claude-opus = {first.agent}\nclaude-haiku = {first.agent}\nclaude-sonnet = {second.agent}"
    with ExitStack() as stack:
        servers = []
        for subject, code in ((first, WRONG), (second, RIGHT)):
            server = stack.enter_context(ModelServer(subject.cli, playing(code), slots, depth=2, secrets=(KEY,)))
            servers.append(server)
            for name, value in subject.install(home, server.url).items():
                monkeypatch.setenv(name, value)
        result = project.pytester.runpytest_subprocess(
            "--gump-workflow=tdd", "spec.md", "-o", f"gump_agents={ini}", "-o", "gump_unknown_cost=allow"
        )
    result.assert_outcomes(passed=4)
    record = project.record()
    tried = [(one.agent, one.result.outcome) for one in record.attempts if one.result and "impl" in one.step]
    assert tried == [*[("claude-haiku", "gate_failed")] * 2, ("claude-sonnet", "passed")]
    assert project.tree(f"gump/{project.folders()[0].run_id}")["double.py"] == RIGHT.strip()
    assert len(servers[0].main) == 2 * 4
    assert len(servers[1].main) == 2
    assert "assert double(3) == 6" in (servers[0].main[-1].request.prompt or "")  # the prompt names the failure
    kept = [path for path in project.folders()[0].path.rglob("*") if path.is_file()]
    assert len(kept) > 20
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []
    assert KEY not in result.stdout.str()
    for one in record.attempts:
        if one.agent is not None:
            used = second.cli if one.agent == "claude-sonnet" else first.cli
            check_prompt(project.prompt(one.step, one.attempt), used, one.mode)


def check_prompt(prompt: str, cli: str, mode: str) -> None:
    shell = FAMILIES[cli].shell
    sandbox = shell.sandbox if mode == "diff" else shell.sandbox_read_only
    if sandbox:
        assert sandbox in prompt
        assert "you may run these commands" not in prompt
    elif mode == "diff":
        assert "with any arguments: `pytest`, `python -m pytest`" in prompt
        assert shell.answer in prompt
    else:
        assert "You cannot run commands in this step." in prompt
    if mode == "review":
        assert "+def double(x):" in prompt  # a review sees the change
