from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Literal

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.agents.clis.gemini import READ_POLICY, SHELL_POLICY, WRITE_POLICY, GeminiAgent
from pytest_gump.agents.shell.permissions import Permissions

from tests.agents.stream_kit import TASK

PRO = GeminiAgent("gemini-25-pro", model="gemini-2.5-pro")
READING = dataclasses.replace(TASK, mode="review")


def value_of(argv: tuple[str, ...], option: str) -> str:
    return argv[argv.index(option) + 1]


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = PRO.command(dataclasses.replace(TASK, prompt="--do it\n"))
    assert command.stdin == b"--do it\n"
    assert command.argv[:4] == ("gemini", "--output-format", "stream-json", "--skip-trust")
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    assert value_of(PRO.command(TASK).argv, "-m") == "gemini-2.5-pro"
    assert "-m" not in GeminiAgent("gemini").command(TASK).argv


def test_edits_are_approved_but_not_all_tools() -> None:
    argv = PRO.command(TASK).argv
    assert value_of(argv, "--approval-mode") == "default"
    assert value_of(argv, "--policy") == str(WRITE_POLICY)
    assert not any(word.startswith("--allowed-tools") for word in argv)


def test_the_rules_for_the_shell_are_a_policy_in_the_folder_of_the_attempt() -> None:
    may = Permissions(writes=True, exact=("make a,b",))
    command = PRO.command(dataclasses.replace(TASK, permissions=may, folder=Path("/attempt")))
    policies = [command.argv[n + 1] for n, word in enumerate(command.argv) if word == "--policy"]
    assert policies == [str(WRITE_POLICY), f"/attempt/{SHELL_POLICY}"]
    assert tomllib.loads(command.files[SHELL_POLICY])["rule"]


def test_no_policy_is_named_that_will_not_be_written() -> None:
    assert SHELL_POLICY not in " ".join(PRO.command(TASK).argv)
    assert not PRO.command(READING).files


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_policies_of_the_user_cannot_weaken_the_read_only_policy(
    mode: Literal["plan", "artifact", "review"],
) -> None:
    argv = PRO.command(dataclasses.replace(TASK, mode=mode, permissions=Permissions(exact=("make",)))).argv
    assert value_of(argv, "--admin-policy") == value_of(argv, "--policy") == str(READ_POLICY)
    assert not any(word.startswith("--allowed-tools") for word in argv)


@pytest.mark.parametrize(
    ("path", "may_write"),
    [
        (".gump/out/plan.json", True),
        ("/cache/slot/.gump/out/review.json", True),
        (".gump/out/../../evil.py", False),
        (".gump/out/deep/x", False),
        (".gump/outside", False),
        ("x.gump/out/plan.json", False),
        ("evil.py", False),
    ],
)
def test_the_read_only_policy_allows_files_in_the_output_folder(path: str, may_write: bool) -> None:
    rules = tomllib.loads(READ_POLICY.read_text(encoding="utf-8"))["rule"]
    arguments = json.dumps({"content": "x", "file_path": path}, separators=(",", ":"))
    given = arguments.replace(f'"file_path":"{path}"', f'\0"file_path":"{path}"\0')
    matching = [
        rule
        for rule in rules
        if (rule["toolName"] == "*" or "write_file" in rule["toolName"])
        and re.search(rule.get("argsPattern", ""), given)
    ]
    first = max(matching, key=lambda rule: int(rule["priority"]))
    assert (first["decision"] == "allow") == may_write


def test_settings_of_the_worktree_are_not_loaded() -> None:
    command = PRO.command(TASK)
    trusted = Path(command.env["GEMINI_CLI_TRUSTED_FOLDERS_PATH"])
    assert json.loads(trusted.read_text(encoding="utf-8")) == {}
    assert "GEMINI_CLI_TRUST_WORKSPACE" not in {*command.env, *command.env_names}


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    argv = PRO.command(dataclasses.replace(TASK, session=SessionRef("-y", "gemini", "/slot"))).argv
    assert "--resume=-y" in argv
    assert "-y" not in argv


@pytest.mark.parametrize("words", [("--approval-mode", "yolo"), ("--approval-mode=yolo",), ("-y",), ("--yolo",)])
def test_a_wider_grant_replaces_the_default_except_in_read_only_steps(words: tuple[str, ...]) -> None:
    agent = GeminiAgent("mine", arguments=(*words, "--debug"))
    argv = agent.command(dataclasses.replace(TASK, permissions=Permissions(writes=True, exact=("make",)))).argv
    assert argv[-len(words) - 1 :] == (*words, "--debug")
    assert "--policy" not in argv
    reading = agent.command(READING).argv
    assert reading[-1] == "--debug"
    assert value_of(reading, "--approval-mode") == "default"
    assert "yolo" not in " ".join(reading)


def test_keys_are_passed_by_name_and_never_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "secret")
    command = PRO.command(TASK)
    assert "GEMINI_API_KEY" in command.env_names
    assert "secret" not in repr(command)


def test_the_cost_is_estimated_if_the_model_has_a_price() -> None:
    assert PRO.cost == "estimated"
    assert GeminiAgent("gemini").cost == "unknown"
