from __future__ import annotations

import dataclasses
import itertools
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.agents.clis.codex import CodexAgent

from tests.agents.stream_kit import TASK

GPT = CodexAgent("codex-gpt55", model="gpt-5.5")
READING = dataclasses.replace(TASK, mode="review")


def settings(argv: tuple[str, ...]) -> dict[str, Any]:
    """Parse the `-c` options as the CLI does."""
    given = [value for option, value in itertools.pairwise(argv) if option == "-c"]
    return tomllib.loads("\n".join(given))


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = GPT.command(dataclasses.replace(TASK, prompt="--do it\n"))
    assert command.stdin == b"--do it\n"
    assert command.argv[:4] == ("codex", "exec", "--json", "--skip-git-repo-check")
    assert command.argv[-1] == "-"
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_user_leaves_it_to_the_cli() -> None:
    argv = GPT.command(TASK).argv
    assert argv[argv.index("-m") + 1] == "gpt-5.5"
    assert "-m" not in CodexAgent("codex").command(TASK).argv


def test_only_files_in_the_worktree_may_be_changed_and_the_network_is_off() -> None:
    given = settings(GPT.command(TASK).argv)
    assert given["sandbox_mode"] == "workspace-write"
    assert given["sandbox_workspace_write"] == {"writable_roots": [], "network_access": False}
    assert given["approval_policy"] == "never"


TMP = Path("/tmp").resolve()


@pytest.mark.parametrize(
    ("checkout", "home", "temporary", "closed"),
    [
        (f"{TMP}/project", "/home/me", "", ["checkout"]),
        ("/scratch/project", "/home/me", "/scratch", ["checkout"]),
        ("/home/me/project", "/home/me", "/scratch", []),
        ("/", "/home/me", "", []),
        ("/srv/project", f"{TMP}/me", "", ["home"]),
        (f"{TMP}/project", f"{TMP}/me", "", ["checkout", "home"]),
        ("/srv/project", f"{TMP}", "", []),
    ],
)
def test_checkout_and_home_in_a_temporary_folder_are_closed_to_writes(
    checkout: str, home: str, temporary: str, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setenv("HOME", home)
    given = settings(GPT.command(dataclasses.replace(TASK, checkout=Path(checkout))).argv)
    if closed:
        profile = given["permissions"][given["default_permissions"]]
        folders = {"checkout": checkout, "home": home}
        assert profile == {"extends": ":workspace", "filesystem": {folders[name]: "read" for name in closed}}
        assert "sandbox_mode" not in given
    else:
        assert given["sandbox_mode"] == "workspace-write"


def test_telemetry_is_off() -> None:
    assert settings(GPT.command(TASK).argv)["analytics"] == {"enabled": False}


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_a_read_only_step_may_write_only_to_its_output_folder(
    mode: Literal["plan", "artifact", "review"],
) -> None:
    given = settings(GPT.command(dataclasses.replace(TASK, mode=mode)).argv)
    profile = given["permissions"][given["default_permissions"]]
    assert profile == {"extends": ":read-only", "filesystem": {":workspace_roots": {".gump/out": "write"}}}
    assert "sandbox_mode" not in given


def test_settings_of_the_worktree_are_not_loaded_whatever_its_path() -> None:
    odd = Path('/slot "x" \\ é')
    given = settings(GPT.command(dataclasses.replace(TASK, worktree=odd)).argv)
    assert given["projects"] == {str(odd): {"trust_level": "untrusted"}}


def test_a_session_is_resumed_by_its_id_even_with_special_characters() -> None:
    argv = GPT.command(dataclasses.replace(TASK, session=SessionRef("--last", "codex", "/slot"))).argv
    assert argv[-4:] == ("resume", "--", "--last", "-")


def test_the_users_arguments_come_before_the_session() -> None:
    agent = CodexAgent("mine", arguments=("-s", "danger-full-access"))
    argv = agent.command(dataclasses.replace(TASK, session=SessionRef("id", "codex", "/slot"))).argv
    assert argv[-6:] == ("-s", "danger-full-access", "resume", "--", "id", "-")


@pytest.mark.parametrize(
    "words",
    [
        ("-s", "danger-full-access"),
        ("--sandbox=danger-full-access",),
        ("-sdanger-full-access",),
        ("--dangerously-bypass-approvals-and-sandbox",),
        ("--add-dir", "/"),
    ],
)
def test_read_only_steps_ignore_arguments_that_grant_more(words: tuple[str, ...]) -> None:
    agent = CodexAgent("mine", arguments=(*words, "-c", 'model_reasoning_effort="high"'))
    argv = agent.command(READING).argv
    assert not set(words) & set(argv)
    assert settings(argv)["model_reasoning_effort"] == "high"
    assert set(words) <= set(agent.command(TASK).argv)


def test_keys_are_passed_by_name_and_hidden_from_commands_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    command = GPT.command(TASK)
    assert "OPENAI_API_KEY" in command.env_names
    assert "secret" not in repr(command)
    assert "OPENAI_API_KEY" in settings(command.argv)["shell_environment_policy"]["exclude"]
    assert "RUST_LOG" in settings(command.argv)["shell_environment_policy"]["exclude"]


def test_the_cost_is_estimated_if_the_model_has_a_price() -> None:
    assert GPT.cost == "estimated"
    assert CodexAgent("codex").cost == "unknown"
    assert CodexAgent("codex-gpt53-spark", "gpt-5.3-codex-spark").cost == "unknown"
