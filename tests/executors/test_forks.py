"""Steps of a parallel group that start with copies of one conversation. A fake CLI records its arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger

if TYPE_CHECKING:
    import pytest
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.testing import GumpProject

STREAM: Final = Path(__file__).parents[1] / "agents" / "recorded" / "claude" / "basic" / "stream.ndjson"
SESSION: Final = "fd49718e-f6c6-4448-a371-a73754ad7bc0"

WAYS: Final = """\
name: ways
steps:
  - {name: look, agent: claude-haiku, prompt: Look around.}
  - name: both
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: Take the first way., session: {fork: look}}
      - {name: other, agent: claude-haiku, prompt: Take the second way., session: {fork: look}}
  - {name: on, agent: claude-haiku, prompt: Go on., session: {reuse: look}}
"""

OTHERS: Final = """\
name: ways
steps:
  - {name: look, agent: claude-haiku, prompt: Look around.}
  - {name: on, agent: claude-sonnet, prompt: Go on., session: {fork: look}}
"""

PROGRAM: Final = """\
#!/bin/sh
cat > prompt.tmp
name=look
grep -q 'first way' prompt.tmp && name=one
grep -q 'second way' prompt.tmp && name=other
grep -q 'Go on' prompt.tmp && name=on
mv prompt.tmp HERE/prompt-$name
echo "$@" > HERE/words-$name
echo $name > $name.txt
cat STREAM
"""


def recording_cli(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project.path.parent / f"{project.path.name}-bin"
    folder.mkdir()
    program = folder / "claude"
    program.write_text(PROGRAM.replace("HERE", str(folder)).replace("STREAM", str(STREAM)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_parallel_steps_fork_a_conversation_that_a_later_step_resumes(
    project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recording_cli(project, monkeypatch)
    project.workflow("ways", WAYS)
    project.pytester.runpytest_inprocess("--gump-workflow=ways", "spec.md").assert_outcomes(passed=6)
    words = {name: (folder / f"words-{name}").read_text(encoding="utf-8") for name in ("look", "one", "other", "on")}
    copied = {name for name, text in words.items() if f"--resume={SESSION} --fork-session" in text}
    assert copied == {"one", "other"}
    assert "--resume" not in words["look"]
    assert f"--resume={SESSION}" in words["on"]
    assert [one.session_resumed for one in project.record().attempts if one.agent] == [False, True, True, True]


def test_replay_of_a_run_with_forks_has_the_same_figures(project: GumpProject, monkeypatch: pytest.MonkeyPatch) -> None:
    recording_cli(project, monkeypatch)
    project.workflow("ways", WAYS)
    tape = project.path.parent / f"{project.path.name}-tape"
    for option in (f"--gump-record={tape}", f"--gump-replay={tape}"):
        result = project.pytester.runpytest_inprocess("--gump-workflow=ways", option, "spec.md")
        result.assert_outcomes(passed=6)
    played, recorded = (figures(fold(read_ledger(folder.ledger))) for folder in project.folders())
    assert played == recorded


def figures(record: RunRecord) -> dict[str, object]:
    """Return the figures by step, since parallel steps end in any order."""
    return {
        one.step: (one.result.usage, one.result.tree, one.session_resumed, one.result.session_lost)
        for one in record.attempts
        if one.result is not None
    }


def test_agent_of_another_cli_gets_the_last_message_of_the_conversation(project: GumpProject) -> None:
    project.workflow("ways", OTHERS)
    project.answer("look", writes={"a.py": "x = 1\n"}, says="The parser is in a.py.")
    project.answer("on", writes={"b.py": "x = 1\n"})
    project.run("ways", "--gump-agent=claude-sonnet=codex-gpt55").assert_outcomes(passed=2)
    assert "It ended with:\n\nThe parser is in a.py." in project.prompt("on", 1)
    assert [one.session_resumed for one in project.record().attempts] == [False, False]
