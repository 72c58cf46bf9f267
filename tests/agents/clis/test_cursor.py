from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pytest_gump.agents.base import SessionRef, Task
from pytest_gump.agents.clis.cursor import CursorAgent

TASK = Task(
    step="impl", item=None, attempt=1, agent="cursor-gpt5", prompt="--do it\n", worktree=Path("/slot"), mode="diff"
)
GPT = CursorAgent("cursor-gpt5", model="gpt-5.4-medium")


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = GPT.command(TASK)
    assert command.stdin == b"--do it\n"
    assert not any("do it" in word for word in command.argv)


def test_edits_are_allowed_and_commands_are_sandboxed() -> None:
    argv = GPT.command(TASK).argv
    assert argv[:6] == ("cursor-agent", "-p", "--output-format", "stream-json", "--force", "--trust")
    assert argv[argv.index("--sandbox") + 1] == "enabled"
    assert "--workspace=/slot" in argv


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    assert "--model=gpt-5.4-medium" in GPT.command(TASK).argv
    assert not any(word.startswith("--model") for word in CursorAgent("cursor").command(TASK).argv)


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    argv = GPT.command(dataclasses.replace(TASK, session=SessionRef("-rm", "cursor", "/slot"))).argv
    assert "--resume=-rm" in argv


def test_read_only_steps_ignore_arguments_that_grant_more() -> None:
    agent = CursorAgent("mine", arguments=("--sandbox", "disabled", "--approve-mcps", "-H", "a: b"))
    assert agent.command(TASK).argv[-5:] == agent.arguments
    argv = agent.command(dataclasses.replace(TASK, mode="review")).argv
    assert argv[-2:] == ("-H", "a: b")
    assert "disabled" not in argv


def test_the_cost_is_unknown_and_the_key_is_passed_by_name() -> None:
    assert GPT.cost == "unknown"
    assert "CURSOR_API_KEY" in GPT.command(TASK).env_names


@pytest.mark.parametrize(("name", "model"), [("cursor-gpt-5.5-high", "gpt-5.5-high"), ("cursor-sonet", None)])
def test_the_model_in_a_name_is_passed_to_the_cli(name: str, model: str | None) -> None:
    found = CursorAgent.model_name.fullmatch(name)
    assert (found["model"] if found else None) == model
