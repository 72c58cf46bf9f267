"""Which CLIs can fork a conversation, and how each is started with the fork."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents import registry
from pytest_gump.agents.base import SessionRef, Task, forks_of
from pytest_gump.agents.clis.claude_stream import ClaudeReader
from pytest_gump.agents.clis.gemini import session_file

if TYPE_CHECKING:
    from pytest_gump.agents.base import Agent

ID = "11111111-2222-4333-8444-555555555555"
TASK = Task(
    step="impl",
    item=None,
    attempt=1,
    agent="any",
    prompt="Do it.",
    worktree=Path("/slot"),
    mode="diff",
    session=SessionRef(ID, "any", "/slot", 0.5),
    fork=True,
)
WORDS = {
    "claude": [f"--resume={ID}", "--fork-session"],
    "codex": ["fork", "--", ID],
    "qwen": [f"--resume={ID}", "--fork-session"],
    "opencode": [f"--session={ID}", "--fork"],
}


@pytest.mark.parametrize("cli", WORDS)
def test_a_fork_uses_the_options_of_the_cli(cli: str) -> None:
    argv = list(registry.resolve(cli).command(TASK).argv)
    place = argv.index(WORDS[cli][0])
    assert argv[place : place + len(WORDS[cli])] == WORDS[cli]


@pytest.mark.parametrize("cli", WORDS)
def test_a_resumed_session_is_not_forked(cli: str) -> None:
    argv = registry.resolve(cli).command(dataclasses.replace(TASK, fork=False)).argv
    assert not {"fork", "--fork", "--fork-session"} & set(argv)
    assert any(ID in word for word in argv)


def conversation(home: Path, name: str, session_id: str, *, size: int = 0) -> Path:
    path = home / ".gemini" / "tmp" / "slot" / "chats" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"sessionId": session_id}) + "\n" + " " * size, encoding="utf-8")
    return path


def test_gemini_starts_with_the_file_of_the_whole_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_CLI_HOME", str(tmp_path))
    whole = conversation(tmp_path, "session-2026-11-22T14-38-11111111.jsonl", ID, size=100)
    conversation(tmp_path, "session-2026-11-22T14-39-11111111.jsonl", ID)
    conversation(tmp_path, "session-2026-11-22T14-40-11111111.jsonl", "11111111-another", size=1000)
    (whole.parent / "session-2026-11-22T14-41-11111111.jsonl").write_text("[]\n", encoding="utf-8")
    (whole.parent / "session-2026-11-22T14-42-11111111.jsonl").write_text("{", encoding="utf-8")
    argv = registry.resolve("gemini").command(TASK).argv
    assert f"--session-file={whole}" in argv
    assert not any(word.startswith("--resume") for word in argv)


def test_gemini_itself_reports_a_missing_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEMINI_CLI_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = session_file(ID)
    assert path.is_relative_to(tmp_path)
    assert not path.exists()
    reader = registry.resolve("gemini").reader(TASK)
    stderr = f"Error importing session from file: File not found or invalid format: {path}"
    assert reader.finish(exit_code=42, stderr=stderr, stopped=False).lost_session


class Plain:
    """An adapter without support for forks."""


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("claude", "anywhere"),
        ("codex", "anywhere"),
        ("gemini", "anywhere"),
        ("qwen", "anywhere"),
        ("opencode", "in its worktree"),
        ("copilot", "anywhere"),
        ("cursor", "never"),
    ],
)
def test_an_agent_declares_where_it_can_fork_also_with_its_own_environment(name: str, where: str) -> None:
    assert forks_of(registry.resolve(name)) == where
    assert forks_of(registry.resolve("mine", {"mine": f"{name} env:A=b"})) == where


def test_an_adapter_without_a_declaration_cannot_fork() -> None:
    agent: Agent = Plain()  # type: ignore[assignment]
    assert forks_of(agent) == "never"


def test_a_fork_without_a_session_id_has_no_session() -> None:
    for fork, kept in ((True, None), (False, TASK.session)):
        reader = ClaudeReader(dataclasses.replace(TASK, fork=fork))
        list(reader.feed(b'{"type":"system","subtype":"init","model":"claude-sonnet-4-5"}'))
        assert reader.finish(exit_code=1, stderr="", stopped=False).session == kept
