from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Literal

import pytest
from pytest_gump.agents.base import SessionRef, Task
from pytest_gump.agents.clis.qwen import QwenAgent
from pytest_gump.agents.clis.qwen_defaults import DEFAULTS, NARROW, SETTINGS, TRUST, TRUSTED, WIDE
from pytest_gump.agents.shell.permissions import Permissions

TASK = Task(
    step="impl", item=None, attempt=1, agent="qwen-plus", prompt="--do it\n", worktree=Path("/slot"), mode="diff"
)
PLUS = QwenAgent("qwen-plus", model="qwen3-coder-plus")


def allowed(argv: tuple[str, ...]) -> list[str]:
    return [word.removeprefix("--allowed-tools=") for word in argv if word.startswith("--allowed-tools=")]


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = PLUS.command(TASK)
    assert command.stdin == b"--do it\n"
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    command = PLUS.command(TASK)
    assert "--model=qwen3-coder-plus" in command.argv
    assert command.env["QWEN_MODEL"] == "qwen3-coder-plus"
    left = QwenAgent("qwen").command(TASK)
    assert not any(word.startswith("--model") for word in left.argv)
    assert "QWEN_MODEL" not in left.env


def test_only_files_in_the_worktree_may_be_changed() -> None:
    argv = PLUS.command(TASK).argv
    assert argv[argv.index("--approval-mode") + 1] == "default"
    assert allowed(argv) == ["write_file(/**)", "edit(/**)", "notebook_edit(/**)"]


def test_the_rules_for_the_shell_are_options() -> None:
    may = Permissions(writes=True, exact=("make test",), tools=("pytest",))
    argv = PLUS.command(dataclasses.replace(TASK, permissions=may)).argv
    assert allowed(argv)[3:5] == ["run_shell_command(make test)", "run_shell_command(pytest)"]
    assert {rule.split()[0] for rule in allowed(argv)[5:]} == {"run_shell_command(timeout"}
    assert "--exclude-tools=run_shell_command(*$*)" in argv


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_a_read_only_step_may_write_only_its_output_file(
    mode: Literal["plan", "artifact", "review"],
) -> None:
    argv = PLUS.command(
        dataclasses.replace(TASK, mode=mode, permissions=Permissions(exact=("make",), files=("rm",)))
    ).argv
    assert allowed(argv) == ["write_file(/.gump/out/**)", "edit(/.gump/out/**)"]


def test_settings_hooks_and_servers_of_the_worktree_are_not_loaded() -> None:
    assert "--safe-mode" in PLUS.command(TASK).argv


def test_tools_that_leave_the_worktree_or_outlive_the_attempt_are_off() -> None:
    argv = PLUS.command(TASK).argv
    assert {"--exclude-tools=enter_worktree", "--exclude-tools=cron_create", "--exclude-tools=monitor"} <= set(argv)


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    argv = PLUS.command(dataclasses.replace(TASK, session=SessionRef("-rm", "qwen", "/slot"))).argv
    assert "--resume=-rm" in argv
    assert "-rm" not in argv


def test_the_turn_limit_is_also_passed_to_the_cli() -> None:
    assert "--max-session-turns=7" in PLUS.command(dataclasses.replace(TASK, max_turns=7)).argv
    assert not any("max-session-turns" in word for word in PLUS.command(TASK).argv)


def test_keys_are_passed_by_name_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    command = PLUS.command(TASK)
    assert "OPENAI_API_KEY" in command.env_names
    assert "secret" not in repr(command)


def test_long_retries_are_off_by_a_default_that_settings_override(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTINGS, str(tmp_path / "settings.json"))
    monkeypatch.delenv(DEFAULTS, raising=False)
    assert PLUS.command(TASK).env[DEFAULTS] == str(NARROW)
    fewer = {"$version": 1000, "model": {"generationConfig": {"maxRetries": 0}}}
    assert json.loads(WIDE.read_text(encoding="utf-8")) == fewer
    untrusted = {**fewer, "security": {"folderTrust": {"enabled": True}}}
    assert json.loads(NARROW.read_text(encoding="utf-8")) == untrusted


def test_no_folder_is_trusted_unless_arguments_of_a_writing_step_grant_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SETTINGS, "/nowhere/settings.json")
    monkeypatch.delenv(DEFAULTS, raising=False)
    wide = QwenAgent("mine", arguments=("--approval-mode", "yolo"))
    reading = dataclasses.replace(TASK, mode="plan")
    assert json.loads(TRUSTED.read_text(encoding="utf-8")) == {}
    for command in (PLUS.command(TASK), PLUS.command(reading), wide.command(reading)):
        assert (command.env[DEFAULTS], command.env[TRUST]) == (str(NARROW), str(TRUSTED))
    assert wide.command(TASK).env[DEFAULTS] == str(WIDE)
    assert TRUST not in wide.command(TASK).env


@pytest.mark.parametrize("where", ["a variable", "a file of the machine"])
def test_defaults_of_the_machine_are_kept(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTINGS, str(tmp_path / "settings.json"))
    if where == "a variable":
        monkeypatch.setenv(DEFAULTS, str(tmp_path / "mine.json"))
    else:
        (tmp_path / "system-defaults.json").write_text("{}", encoding="utf-8")
    command = PLUS.command(TASK)
    assert DEFAULTS not in command.env
    assert DEFAULTS in command.env_names


def test_the_users_arguments_come_last_and_grant_nothing_in_read_only_steps() -> None:
    agent = QwenAgent("mine", arguments=("--approval-mode", "yolo", "--allowed-tools=agent", "--no-safe-mode", "-d"))
    assert agent.command(TASK).argv[-5:] == agent.arguments
    argv = agent.command(dataclasses.replace(TASK, mode="plan")).argv
    assert argv[-1] == "-d"
    assert not {"yolo", "--allowed-tools=agent", "--no-safe-mode"} & set(argv)


@pytest.mark.parametrize("words", [("--approval-mode", "yolo"), ("--approval-mode=yolo",), ("-y",), ("--yolo",)])
def test_an_approval_mode_of_the_user_replaces_the_default(words: tuple[str, ...]) -> None:
    agent = QwenAgent("mine", arguments=words)
    argv = agent.command(TASK).argv
    assert argv[-len(words) :] == words
    assert "default" not in argv
    reading = agent.command(dataclasses.replace(TASK, mode="plan")).argv
    assert reading[reading.index("--approval-mode") + 1] == "default"
    assert not set(words) - {"--approval-mode"} & set(reading)


def test_the_cost_is_known_only_with_a_price() -> None:
    assert PLUS.cost == "estimated"
    assert QwenAgent("qwen").cost == "unknown"
    assert QwenAgent("qwen-x", model="coder-model-9").cost == "unknown"
    assert QwenAgent("qwen-gpt", model="gpt-5.4").cost == "estimated"


@pytest.mark.parametrize(
    ("name", "model"),
    [("qwen-qwen3.8-max", "qwen3.8-max"), ("qwen-glm-5.1", "glm-5.1"), ("qwen-codr", None), ("qwen-", None)],
)
def test_the_model_in_a_name_is_passed_to_the_cli(name: str, model: str | None) -> None:
    found = QwenAgent.model_name.fullmatch(name)
    assert (found["model"] if found else None) == model
