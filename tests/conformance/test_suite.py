"""The suite itself, without a real CLI: its findings for a missing CLI, and for one that fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.conformance import CLIS, SCENARIOS, run
from pytest_gump.conformance.suite import left_out
from pytest_gump.conformance.watch import living
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

STREAM = Path(__file__).parents[1] / "agents" / "recorded" / "claude" / "basic" / "stream.ndjson"


def fake_claude(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Put a script named `claude` on PATH."""
    folder.mkdir()
    path = folder / "claude"
    path.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize(("clis", "only", "hint"), [(["clod"], [], "claude, codex"), (["claude"], ["basik"], "basic")])
def test_an_unknown_name_is_refused_and_known_names_are_listed(clis: list[str], only: list[str], hint: str) -> None:
    with pytest.raises(AgentError) as caught:
        run(clis, print, only)
    assert hint in str(caught.value)


def test_a_missing_cli_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    findings = run(["claude", "codex"], said.append, ["basic"], scratch=tmp_path)
    assert [(one.cli, one.state) for one in findings] == [("claude", "not installed"), ("codex", "not installed")]
    assert "npm install" in findings[0].reason
    assert said[0] == "claude: basic ..."
    assert said[1].startswith("claude: basic not installed")


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("basic", "gate_failed"),
        ("long-prompt", "the CLI sent no request to the model"),
        ("resume", "the second attempt sent no request to the model"),
    ],
)
def test_a_false_success_fails_the_scenario(
    scenario: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_claude(tmp_path / "bin", monkeypatch, f"cat > /dev/null; cat {STREAM}")
    before = dict(os.environ)
    (finding,) = run(["claude"], print, [scenario], scratch=tmp_path / "scratch")
    assert finding.state == "fails"
    assert reason in finding.reason
    assert dict(os.environ) == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_cli_runs_in_a_clean_environment_and_its_message_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "the user's own")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org")
    fake_claude(tmp_path / "bin", monkeypatch, f"env > {tmp_path}/environment; exit 3")
    (finding,) = run(["claude"], print, ["status-400"], scratch=tmp_path / "scratch")
    assert finding.state == "fails"
    assert "not in the CLI's own words" in finding.reason
    environment = (tmp_path / "environment").read_text(encoding="utf-8")
    assert "the user's own" not in environment
    assert "proxy.example.org" not in environment
    assert f"HOME={tmp_path}/scratch/claude-status-400-" in environment
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:" in environment


def test_git_processes_of_gump_are_not_processes_of_the_cli(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    git = subprocess.Popen(["git", "cat-file", "--batch"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert git.stdin is not None
        assert git.stdout is not None
        git.stdin.write(b"HEAD\n")
        git.stdin.flush()
        git.stdout.readline()
        assert living(tmp_path) == []
    finally:
        git.communicate()


def test_each_scenario_applies_to_some_cli() -> None:
    assert all(any(left_out(cli, scenario) is None for cli in CLIS) for scenario in SCENARIOS)
    assert len(set(SCENARIOS)) == len(SCENARIOS)


def test_a_process_is_found_by_its_home_and_its_working_directory(tmp_path: Path) -> None:
    assert living(tmp_path) == []
    sleep = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    at_home = subprocess.Popen(sleep, env={"HOME": str(tmp_path)}, stdout=subprocess.PIPE)
    at_work = subprocess.Popen(sleep, cwd=tmp_path, stdout=subprocess.PIPE)
    try:
        for process in (at_home, at_work):
            assert process.stdout is not None
            process.stdout.readline()
        assert {process.pid for process in living(tmp_path)} == {at_home.pid, at_work.pid}
    finally:
        for process in (at_home, at_work):
            process.kill()
            process.communicate()
    assert living(tmp_path) == []


@pytest.mark.parametrize(
    "program",
    [
        "import pytest_gump.plugin",
        "import pytest; pytest.main(['--gump-workflow=one', f'--gump-replay={sys.argv[1]}', 'spec.md'])",
        "from pytest_gump.cli.program import main; main(['doctor'])",
    ],
    ids=["import", "session", "doctor"],
)
def test_only_the_option_imports_the_suite(project: GumpProject, program: str) -> None:
    project.answer("impl", writes={"new.py": "x = 1\n"})
    check = "print([name for name in sys.modules if name.startswith('pytest_gump.conformance')])"
    words = [sys.executable, "-c", f"import sys; {program}; {check}", str(project.cassette)]
    done = subprocess.run(words, cwd=project.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "error" not in done.stdout
