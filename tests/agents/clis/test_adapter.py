"""Tests of all adapters. Tests of one CLI are in its own module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import Agent
from pytest_gump.agents.clis.claude import ClaudeAgent
from pytest_gump.agents.clis.codex import CodexAgent
from pytest_gump.agents.clis.copilot import CopilotAgent
from pytest_gump.agents.clis.cursor import CursorAgent
from pytest_gump.agents.clis.gemini import GeminiAgent
from pytest_gump.agents.clis.opencode import OpencodeAgent
from pytest_gump.agents.clis.qwen import QwenAgent

if TYPE_CHECKING:
    from pathlib import Path

ADAPTERS = [
    (ClaudeAgent("mine"), "claude", "claude (Claude Code) is not on PATH; npm install -g @anthropic-ai/claude-code"),
    (CodexAgent("mine"), "codex", "codex (Codex) is not on PATH; npm install -g @openai/codex"),
    (GeminiAgent("mine"), "gemini", "gemini (Gemini CLI) is not on PATH; npm install -g @google/gemini-cli"),
    (OpencodeAgent("mine"), "opencode", "opencode (OpenCode) is not on PATH; npm install -g opencode-ai"),
    (QwenAgent("mine"), "qwen", "qwen (Qwen Code) is not on PATH; npm install -g @qwen-code/qwen-code"),
    (CopilotAgent("mine"), "copilot", "copilot (GitHub Copilot CLI) is not on PATH; npm install -g @github/copilot"),
    (CursorAgent("mine"), "cursor", "cursor-agent (Cursor) is not on PATH; see https://cursor.com/docs/cli"),
]
each_adapter = pytest.mark.parametrize(("agent", "cli", "words"), ADAPTERS, ids=[cli for _, cli, _ in ADAPTERS])


@each_adapter
def test_the_message_for_a_missing_program_says_how_to_install_it(
    agent: Agent, cli: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert agent.missing() == words
    program = tmp_path / ("cursor-agent" if cli == "cursor" else cli)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert agent.missing() is None


@each_adapter
def test_the_adapter_is_an_agent_of_its_family(agent: Agent, cli: str, words: str) -> None:
    assert isinstance(agent, Agent)
    assert (agent.name, agent.cli) == ("mine", cli)
    assert words.startswith(cli)
