"""Agents and gates print keys of the environment, but no file of the run contains one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.kits.recording import SECRET, install

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

GATE_SECRET: Final = "gate-secret-0123456789"

LOUD: Final = """\
name: loud
steps:
  - name: impl
    agent: claude-haiku
    prompt: Do it.
    gate: [compile, "bash: echo the gate has $MY_GATE_TOKEN; test -f fine.txt"]
    on_failure: {retry: 3, strategy: [same, same, "escalate: codex-gpt54"]}
"""

# Searches every visible process, its own included, before it works.
SPY: Final = """
import glob
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        words = pathlib.Path(path).read_bytes()
    except OSError:
        continue
    if os.fsencode(secret) in words or b"GATE" in words:
        (pathlib.Path(SPIED) / "seen").write_bytes(words)
with (pathlib.Path(SPIED) / "words").open("a") as file:
    file.write(repr(sys.argv) + "\\n")
"""

WORDS: Final = (SECRET.encode(), SECRET.replace('"', '\\\\"').encode(), GATE_SECRET.encode())


@pytest.fixture
def spied(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run agents that record what they see and their arguments, and write all kinds of reports. Return the folder."""
    folder = install(project, monkeypatch)
    place = project.path.parent / f"{project.path.name}-spied"
    place.mkdir()
    for name in ("claude", "codex"):
        text = (folder / name).read_text(encoding="utf-8")
        spy = SPY.replace("SPIED", repr(str(place))).replace('b"GATE"', repr(GATE_SECRET.encode()))
        (folder / name).write_text(text.replace("\ndef say(", f"{spy}\ndef say(", 1), encoding="utf-8")
    project.write({"pytest.ini": "[pytest]\ngump_gate_env = MY_GATE_TOKEN\n"})
    project.workflow("loud", LOUD)
    monkeypatch.setenv("MY_GATE_TOKEN", GATE_SECRET)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "summary.md"))
    result = project.pytester.runpytest_subprocess(
        *("--gump-workflow=loud", "spec.md", "-vv", "--gump-ci=github"),
        *(f"--gump-record={place / 'tape'}", f"--junitxml={place / 'run.xml'}"),
    )
    (place / "terminal.txt").write_text(result.stdout.str() + result.stderr.str(), encoding="utf-8")
    result.assert_outcomes(failed=1)
    assert [one.result.outcome for one in project.record().attempts if one.result] == ["gate_failed"] * 3
    return place


def files_with_a_key(folder: Path) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if any(word in path.read_bytes() for word in WORDS)]


def test_no_file_or_output_of_a_run_contains_a_key(spied: Path, project: GumpProject) -> None:
    check_processes_and_files_of_the_run(spied, project)
    check_output(spied, project)
    check_repository_and_worktrees(project)


def check_processes_and_files_of_the_run(spied: Path, project: GumpProject) -> None:
    """Check that neither the process table nor ledger, prompts, streams and gates contain a key."""
    assert len((spied / "words").read_text(encoding="utf-8").splitlines()) == 3
    assert not (spied / "seen").exists()
    run = project.folders()[0].path
    assert files_with_a_key(run) == []
    streams = b"".join(path.read_bytes() for path in run.rglob("stream.ndjson"))
    gates = b"".join(path.read_bytes() for path in run.glob("attempts/*/gates/*"))
    assert b"***" in streams
    assert b"the gate has ***" in gates


def check_output(spied: Path, project: GumpProject) -> None:
    """Check that terminal, JUnit, cassette, summary and output of commands contain no key."""
    for words in ("report", "report --json", "log impl --all", "diff impl", "status"):
        command = [sys.executable, "-m", "pytest_gump", *words.split()]
        done = subprocess.run(command, cwd=project.path, capture_output=True, check=False)
        assert (done.returncode, bool(done.stdout)) == (0, True), words
        (spied / f"{words}.txt").write_bytes(done.stdout + done.stderr)
    assert {path.name for path in spied.iterdir()} >= {"terminal.txt", "run.xml", "tape", "summary.md", "report.txt"}
    assert files_with_a_key(spied) == []


def check_repository_and_worktrees(project: GumpProject) -> None:
    """Check that neither objects of the repository nor worktrees contain a key."""
    words = ["git", "cat-file", "--batch-all-objects", "--batch"]
    objects = subprocess.run(words, cwd=project.path, capture_output=True, check=True).stdout
    assert b"compile" in objects
    assert not any(word in objects for word in WORDS)
    worktrees = Path(os.environ["XDG_CACHE_HOME"]) / "gump"
    assert files_with_a_key(worktrees) == []
    assert list(worktrees.rglob("*.scratch")) == []
