"""A CLI that has lost a conversation (recorded output): the same attempt starts a new conversation."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.reporting.report_data import report_data

if TYPE_CHECKING:
    from pytest_gump.testing import GumpProject

STREAMS: Final = Path(__file__).parents[1] / "agents" / "recorded"

AGAIN: Final = """\
name: again
steps:
  - name: impl
    agent: AGENT
    prompt: Do it.
    gate: [compile]
    on_failure: {retry: 2}
"""

PROGRAM: Final = """\
#!/bin/sh
for word in "$@"; do
    case "$word" in
        resume|--resume=*|--session=*)
            cat > HERE/prompt-lost
            echo "$@" >> HERE/resumed
            cat LOST/stream.ndjson
            if [ -f LOST/stderr.txt ]; then cat LOST/stderr.txt >&2; fi
            exit CODE;;
    esac
done
if [ -f HERE/prompt-1 ]; then
    cat > HERE/prompt-2
    echo 'x = 1' > hello.py
else
    cat > HERE/prompt-1
    echo 'def broken(' > hello.py
fi
cat BASIC/stream.ndjson
"""


def install_forgetful_cli(project: GumpProject, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Put a CLI on PATH that first writes a broken file, then rejects every session id, and otherwise works."""
    folder = project.path.parent / f"{project.path.name}-bin"
    folder.mkdir()
    lost = STREAMS / name / "resume-unknown"
    code = json.loads((lost / "exit.json").read_bytes())["exit_code"]
    words = {"HERE": folder, "LOST": lost, "CODE": code, "BASIC": STREAMS / name / "basic"}
    text = PROGRAM
    for word, value in words.items():
        text = text.replace(word, str(value))
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    project.workflow("again", AGAIN.replace("AGENT", name))
    return folder


@pytest.mark.parametrize("name", ["claude", "codex", "copilot", "gemini", "qwen", "opencode"])
def test_an_attempt_with_a_lost_conversation_starts_a_new_one(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = install_forgetful_cli(project, monkeypatch, name)
    result = project.pytester.runpytest_inprocess("--gump-workflow=again", "spec.md")
    result.assert_outcomes(passed=1)
    first, second = project.record().attempts
    assert len((folder / "resumed").read_text(encoding="utf-8").splitlines()) == 1
    assert first.result is not None
    assert second.result is not None
    assert (first.result.outcome, second.result.outcome) == ("gate_failed", "passed")
    assert second.result.session_lost
    assert second.result.usage == first.result.usage
    session = first.result.session
    assert session is not None
    assert f"the agent's CLI has lost the conversation: started a new one ({session.id} is gone)" in second.result.notes
    result.stdout.fnmatch_lines(["*note: the agent's CLI has lost the conversation: started a new one*"])


def test_the_new_conversation_gets_the_last_message_of_the_lost_one(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install_forgetful_cli(project, monkeypatch, "claude")
    project.pytester.runpytest_inprocess("--gump-workflow=again", "spec.md").assert_outcomes(passed=1)
    lost, fresh = ((folder / f"prompt-{name}").read_text(encoding="utf-8") for name in ("lost", "2"))
    assert "Another conversation worked on this before you" not in lost
    said = fresh.partition("## What was done so far")[2].partition("## What failed")
    assert said[0].startswith("\n\nAnother conversation worked on this before you; you do not see it. It ended with:")
    assert "All done" in said[0]
    assert "compile" in said[2]
    assert project.prompt("impl", 2) == fresh


def test_output_of_the_cli_is_kept_and_the_report_shows_no_resumed_session(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_forgetful_cli(project, monkeypatch, "codex")
    project.pytester.runpytest_inprocess("--gump-workflow=again", "spec.md").assert_outcomes(passed=1)
    folder, record = project.folders()[0], project.record()
    kept = folder.attempts / str(record.attempts[1].folder) / "lost-session"
    assert "no rollout found" in (kept / "stderr.txt").read_text(encoding="utf-8")
    attempts = report_data(record, folder.read_header(), state="passed")["steps"][0]["attempts"]
    assert [one["session_resumed"] for one in attempts] == [False, False]
    text = project.pytester.run(sys.executable, "-m", "pytest_gump", "report").stdout
    text.fnmatch_lines(["notes", "  impl attempt 2: the agent's CLI has lost the conversation: started a new one (*"])


def test_replay_of_an_attempt_with_a_lost_conversation_has_the_same_figures(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_forgetful_cli(project, monkeypatch, "codex")
    tape = project.path.parent / f"{project.path.name}-tape"
    for option in (f"--gump-record={tape}", f"--gump-replay={tape}"):
        result = project.pytester.runpytest_inprocess("--gump-workflow=again", option, "spec.md")
        result.assert_outcomes(passed=1)
    played, recorded = (fold(read_ledger(folder.ledger)) for folder in project.folders())
    assert [one.result and one.result.session_lost for one in recorded.attempts] == [False, True]
    for one, other in zip(recorded.attempts, played.attempts, strict=True):
        assert one.result is not None
        assert other.result is not None
        assert (one.result.usage, one.result.tree) == (other.result.usage, other.result.tree)
