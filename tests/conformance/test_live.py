"""`gump doctor --live` with the real CLIs. Its only request goes to the scripted model."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.conformance import CLIS
from pytest_gump.conformance.bench import Bench
from pytest_gump.conformance.model.script import Answer, Fault, script
from pytest_gump.conformance.subjects import KEY, SUBJECTS

if TYPE_CHECKING:
    from pathlib import Path


def doctor(cli: str, place: Path, fault: Fault | None = None) -> tuple[int, dict[str, Any], int]:
    """Return exit code, report and number of requests to the model."""
    bench = Bench(SUBJECTS[cli], place)
    bench.prepare()
    words = [sys.executable, "-m", "pytest_gump", "doctor", "--live", bench.subject.agent, "--json"]
    with bench.serving(script(Answer("ready"), fault=fault)) as server:
        done = subprocess.run(words, cwd=bench.project, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        assert KEY not in done.stdout
        return done.returncode, json.loads(done.stdout), len(server.served)


def version(cli: str, agents: Path) -> str:
    """Return the installed version. The pinned version is the tested one: tests/agents/test_program.py."""
    names = json.loads((agents / "npm" / "package.json").read_bytes())["dependencies"]
    (package,) = (agents / "npm" / "node_modules" / name / "package.json" for name in names if cli in name)
    return str(json.loads(package.read_bytes())["version"])


@pytest.mark.parametrize("cli", CLIS)
def test_one_request_is_sent_and_its_cost_reported(cli: str, tmp_path: Path, agents: Path) -> None:
    code, report, requests = doctor(cli, tmp_path)
    (call,) = report["live"]
    assert (code, call["ok"], requests) == (0, True, 1)
    assert call["message"] == "{}"  # the answer of the scripted model to a prompt that is not of a step
    assert call["cost_usd"] > 0
    (state,) = (one for one in report["clis"] if one["cli"] == cli)
    assert state["version"] == version(cli, agents)


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("cli", ["claude", "codex"])
def test_a_refused_request_is_reported_with_the_message_of_the_cli(cli: str, tmp_path: Path) -> None:
    code, report, _ = doctor(cli, tmp_path, Fault(400))
    (call,) = report["live"]
    assert (code, call["ok"]) == (1, False)
    assert "the scripted model refuses" in call["message"]
    assert report["failed"] == [f"call of {SUBJECTS[cli].agent}"]
