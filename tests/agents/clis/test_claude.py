from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

import pytest
from pytest_gump.agents.base import SessionRef, Task
from pytest_gump.agents.clis.claude import ClaudeAgent
from pytest_gump.agents.clis.claude_clouds import cloud_names
from pytest_gump.agents.shell.permissions import Permissions

TASK = Task(
    step="impl", item=None, attempt=1, agent="claude-opus", prompt="--do it\n", worktree=Path("/slot"), mode="diff"
)
OPUS = ClaudeAgent("claude-opus", model="opus")


def value_of(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


def allowed(argv: tuple[str, ...]) -> list[str]:
    rules: list[str] = json.loads(value_of(argv, "--settings"))["permissions"]["allow"]
    return rules


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = OPUS.command(TASK)
    assert command.stdin == b"--do it\n"
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    assert value_of(OPUS.command(TASK).argv, "--model") == "opus"
    assert "--model" not in ClaudeAgent("claude").command(TASK).argv


def test_the_stream_is_json_with_all_events() -> None:
    argv = OPUS.command(TASK).argv
    assert argv[:5] == ("claude", "-p", "--output-format", "stream-json", "--verbose")


def test_only_files_in_the_worktree_may_be_changed() -> None:
    argv = OPUS.command(TASK).argv
    assert value_of(argv, "--permission-mode") == "acceptEdits"
    assert "--settings" not in argv
    assert "--allowedTools" not in argv


def test_commands_run_as_they_are_written_and_tools_with_any_arguments() -> None:
    may = Permissions(writes=True, exact=("make test, really",), tools=("pytest",), reading=("ls",), files=("rm",))
    argv = OPUS.command(dataclasses.replace(TASK, permissions=may)).argv
    assert allowed(argv) == ["Bash(make test, really)", "Bash(pytest *)"]


def test_a_star_in_a_command_does_not_match_any_text() -> None:
    may = Permissions(writes=True, exact=("cd a && make test-* x",), tools=("npm run test:*",))
    argv = OPUS.command(dataclasses.replace(TASK, permissions=may)).argv
    assert allowed(argv) == [
        r"Bash(cd a && make test-\* x*)",
        "Bash(cd a)",
        r"Bash(make test-\* x*)",
        r"Bash(npm run test:\* *)",
    ]


def test_everything_may_run_in_a_sandbox() -> None:
    argv = OPUS.command(dataclasses.replace(TASK, permissions=Permissions(writes=True, everything=True))).argv
    assert allowed(argv) == ["Bash"]


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_a_read_only_step_may_write_only_its_output_file(
    mode: Literal["plan", "artifact", "review"],
) -> None:
    task = dataclasses.replace(TASK, mode=mode, permissions=Permissions(exact=("make",), tools=("make",)))
    argv = OPUS.command(task).argv
    assert value_of(argv, "--permission-mode") == "dontAsk"
    assert value_of(argv, "--tools") == "Read,Grep,Glob,Write,Edit"
    assert allowed(argv) == ["Edit(.gump/out/**)"]


def test_settings_and_servers_of_the_worktree_are_not_loaded() -> None:
    argv = OPUS.command(TASK).argv
    assert value_of(argv, "--setting-sources") == "user"
    assert "--strict-mcp-config" in argv


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    session = SessionRef("-rm", "claude", "/slot")
    argv = OPUS.command(dataclasses.replace(TASK, session=session)).argv
    assert "--resume=-rm" in argv
    assert "-rm" not in argv


def test_limits_are_also_passed_to_the_cli() -> None:
    argv = OPUS.command(dataclasses.replace(TASK, max_turns=7, max_budget=0.1)).argv
    assert value_of(argv, "--max-turns") == "7"
    assert value_of(argv, "--max-budget-usd") == "0.100000"
    assert "--max-turns" not in OPUS.command(TASK).argv


def test_keys_are_passed_by_name_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    command = OPUS.command(TASK)
    assert "ANTHROPIC_API_KEY" in command.env_names
    assert "secret" not in repr(command)
    assert command.env["DISABLE_AUTOUPDATER"] == "1"


def test_the_users_arguments_come_last() -> None:
    agent = ClaudeAgent("mine", model="opus", arguments=("--allowedTools", "Bash"))
    assert agent.command(TASK).argv[-2:] == ("--allowedTools", "Bash")


@pytest.mark.parametrize(
    "words",
    [
        ("--dangerously-skip-permissions",),
        ("--allow-dangerously-skip-permissions",),
        ("--allowedTools", "Bash", "Write(src/**)", "Edit"),
        ("--allowedTools=Bash,Write",),
        ("--allowed-tools", "Bash"),
        ("--tools", "default"),
        ("--add-dir", "/etc", "/home"),
        ("--permission-mode", "bypassPermissions"),
        ("--permission-mode=acceptEdits",),
        ("--settings", '{"permissions": {"allow": ["Bash"]}}'),
        ("--setting-sources", "user,project"),
    ],
    ids=lambda words: " ".join(words)[:30],
)
@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_read_only_steps_ignore_arguments_that_grant_more(
    words: tuple[str, ...], mode: Literal["plan", "artifact", "review"]
) -> None:
    agent = ClaudeAgent("mine", arguments=("--effort", "high", *words, "--bare"))
    argv = agent.command(dataclasses.replace(TASK, mode=mode)).argv
    plain = ClaudeAgent("mine").command(dataclasses.replace(TASK, mode=mode)).argv
    assert argv == (*plain, "--effort", "high", "--bare")
    assert agent.command(TASK).argv[-len(words) - 1 :] == (*words, "--bare")


def test_cloud_variables_are_passed_only_for_the_chosen_cloud() -> None:
    chosen = cloud_names({"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_USE_VERTEX": ""})
    assert {"CLAUDE_CODE_USE_BEDROCK", "AWS_PROFILE", "AWS_REGION"} <= {*chosen}
    assert not any(name.startswith(("GOOGLE", "CLAUDE_CODE_USE_VERTEX")) for name in chosen)
    assert cloud_names({}) == ()
