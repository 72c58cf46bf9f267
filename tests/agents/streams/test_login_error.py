"""The errors of the CLIs for a missing or invalid login, in recorded streams and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_gump.agents.base import Ending, Task
from pytest_gump.agents.family import FAMILIES
from pytest_gump.agents.streams.login_error import with_login_error
from pytest_gump.agents.usage import Tokens, Usage

STREAMS = Path(__file__).parents[1] / "recorded"
FAILED = Ending("agent_error", reason="Not logged in", message="", usage=Usage(), session=None)


def recorded(cli: str, name: str) -> Ending:
    folder = STREAMS / cli / name
    reader = FAMILIES[cli].reads(Task("s", None, 1, cli, "p", Path("/w"), "diff"))
    for line in (folder / "stream.ndjson").read_bytes().splitlines():
        list(reader.feed(line))
    stderr = folder / "stderr.txt"
    code = json.loads((folder / "exit.json").read_text())["exit_code"]
    return reader.finish(exit_code=code, stderr=stderr.read_text() if stderr.exists() else "", stopped=False)


@pytest.mark.parametrize("cli", ["claude", "codex", "copilot", "gemini", "qwen", "opencode"])
@pytest.mark.parametrize("name", ["no-key", "api-401"])
def test_a_login_error_is_final_and_says_what_to_do(cli: str, name: str) -> None:
    ending = with_login_error(recorded(cli, name), cli=cli, agent="mine")
    is_told = (cli, name) != ("opencode", "no-key")  # its stream says only that the server failed
    assert ending.final is is_told
    assert any("gump doctor --live mine" in note for note in ending.notes) is is_told


@pytest.mark.parametrize("name", ["api-400", "api-429", "api-500", "connection-refused", "model-404"])
@pytest.mark.parametrize("cli", ["claude", "codex", "copilot", "gemini"])
def test_other_errors_are_not_login_errors(cli: str, name: str) -> None:
    ending = recorded(cli, name)
    assert with_login_error(ending, cli=cli, agent="mine") == ending


def test_text_of_a_model_is_not_a_login_error() -> None:
    answered = replace(FAILED, usage=Usage(tokens=Tokens(output=1)))
    assert with_login_error(answered, cli="claude", agent="a") == answered
    passed = replace(FAILED, outcome="ok")
    assert with_login_error(passed, cli="claude", agent="a") == passed
    assert with_login_error(replace(FAILED, reason="a test failed: 401 != 200"), cli="c", agent="a").final is False
