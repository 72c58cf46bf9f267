from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from pytest_gump.agents.base import Command, SessionRef, Task
from pytest_gump.agents.clis.opencode import OpencodeAgent
from pytest_gump.agents.shell.permissions import Permissions

TASK = Task(
    step="impl", item=None, attempt=1, agent="opencode-opus", prompt="--do it\n", worktree=Path("/slot"), mode="diff"
)
OPUS = OpencodeAgent("opencode-opus", model="anthropic/claude-opus-5-5")


def permission(command: Command) -> dict[str, Any]:
    rules: dict[str, Any] = json.loads(command.env["OPENCODE_PERMISSION"])
    return rules


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = OPUS.command(TASK)
    assert command.stdin == b"--do it\n"
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    assert "--model=anthropic/claude-opus-5-5" in OPUS.command(TASK).argv
    assert not any(word.startswith("--model") for word in OpencodeAgent("opencode").command(TASK).argv)


def test_events_are_json_and_the_title_is_set_to_save_a_request() -> None:
    argv = OPUS.command(TASK).argv
    assert argv[:4] == ("opencode", "run", "--format", "json")
    assert "--title=gump impl" in argv


def test_only_errors_are_logged() -> None:
    assert {"--print-logs", "--log-level=ERROR"} <= set(OPUS.command(TASK).argv)


def test_every_permission_is_allowed_or_denied_in_advance() -> None:
    command = OPUS.command(TASK)
    assert "--auto" not in command.argv
    assert permission(command)["edit"] == "allow"
    assert permission(command)["external_directory"]["*"] == "deny"
    assert '"ask"' not in command.env["OPENCODE_PERMISSION"]


def test_a_command_that_is_written_out_takes_precedence_over_all_refusals() -> None:
    may = Permissions(writes=True, exact=("make > log",))
    rules = permission(OPUS.command(dataclasses.replace(TASK, permissions=may)))["bash"]
    assert (next(iter(rules)), next(reversed(rules))) == ("*", "make > log")


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_a_read_only_step_may_write_only_its_output_file(
    mode: Literal["plan", "artifact", "review"],
) -> None:
    rules = permission(OPUS.command(dataclasses.replace(TASK, mode=mode, permissions=Permissions(exact=("make",)))))
    assert list(rules["edit"].items()) == [("*", "deny"), (".gump/out/*", "allow")]
    assert rules["bash"] == "deny"


def test_subagents_are_off_because_no_stream_reports_their_tokens() -> None:
    assert permission(OPUS.command(TASK))["task"] == "deny"


def test_settings_of_the_worktree_are_not_loaded_and_nothing_is_shared_or_updated() -> None:
    env = OPUS.command(TASK).env
    assert env["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    assert env["OPENCODE_DISABLE_SHARE"] == "1"
    assert env["OPENCODE_DISABLE_AUTOUPDATE"] == "1"


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    argv = OPUS.command(dataclasses.replace(TASK, session=SessionRef("-rm", "opencode", "/slot"))).argv
    assert "--session=-rm" in argv
    assert "-rm" not in argv


def test_only_keys_of_the_provider_are_passed_and_only_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    command = OPUS.command(TASK)
    assert "ANTHROPIC_API_KEY" in command.env_names
    assert "OPENAI_API_KEY" not in command.env_names
    assert "secret" not in repr(command)
    assert "OPENAI_API_KEY" in OpencodeAgent("opencode").command(TASK).env_names


def test_the_users_arguments_come_last_and_grant_nothing_in_read_only_steps() -> None:
    agent = OpencodeAgent("mine", arguments=("--auto", "--thinking"))
    assert agent.command(TASK).argv[-2:] == ("--auto", "--thinking")
    argv = agent.command(dataclasses.replace(TASK, mode="review")).argv
    assert argv[-1] == "--thinking"
    assert "--auto" not in argv


def test_the_cost_is_reported() -> None:
    assert OPUS.cost == "reported"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("opencode-anthropic/claude-opus-5", "anthropic/claude-opus-5"),
        ("opencode-openrouter/qwen/qwen3-coder", "openrouter/qwen/qwen3-coder"),
        ("opencode-ops", None),
        ("opencode-/x", None),
    ],
)
def test_the_provider_and_model_in_a_name_are_passed_to_the_cli(name: str, model: str | None) -> None:
    found = OpencodeAgent.model_name.fullmatch(name)
    assert (found["model"] if found else None) == model
