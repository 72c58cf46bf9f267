from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import SessionRef, Task
from pytest_gump.agents.clis.copilot import CopilotAgent
from pytest_gump.agents.shell.permissions import Permissions, permissions

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDE = Permissions(writes=True, everything=True)
TASK = Task(
    step="impl",
    item=None,
    attempt=1,
    agent="copilot-sonnet",
    prompt="--do it\n",
    worktree=Path("/slot"),
    mode="diff",
    permissions=permissions("diff", ["pytest -q"]),
)
SONNET = CopilotAgent("copilot-sonnet", model="claude-sonnet-5.5")


def values(argv: Sequence[str], option: str) -> list[str]:
    return [word.removeprefix(f"{option}=") for word in argv if word.startswith(f"{option}=")]


def test_the_prompt_goes_to_stdin_and_never_to_the_command_line() -> None:
    command = SONNET.command(TASK)
    assert command.stdin == b"--do it\n"
    assert not any("do it" in word for word in command.argv)


def test_the_model_is_passed_unless_the_cli_chooses_it() -> None:
    assert values(SONNET.command(TASK).argv, "--model") == ["claude-sonnet-5.5"]
    assert values(CopilotAgent("copilot").command(TASK).argv, "--model") == []


def test_it_works_in_the_worktree_even_with_a_conversation_from_another_folder() -> None:
    argv = SONNET.command(dataclasses.replace(TASK, session=SessionRef("-rm", "copilot", "/other"))).argv
    assert argv[1:3] == ("-C", "/slot")
    assert values(argv, "--resume") == ["-rm"]
    assert "-rm" not in argv


def test_a_step_that_writes_gets_files_and_the_shell_with_rules_for_programs() -> None:
    argv = SONNET.command(TASK).argv
    assert values(argv, "--allow-tool")[:2] == ["write", "shell(pytest)"]
    assert "shell(python)" in values(argv, "--allow-tool")
    assert "bash" in values(argv, "--available-tools")[0].split(",")
    assert "--disallow-temp-dir" in argv


def test_a_hook_refuses_what_the_rules_let_through(tmp_path: Path) -> None:
    command = SONNET.command(dataclasses.replace(TASK, folder=tmp_path))
    assert f"--plugin-dir={tmp_path}" in command.argv
    assert set(command.files) == {"plugin.json", "hooks.json"}


def test_in_a_sandbox_every_command_may_run() -> None:
    argv = SONNET.command(dataclasses.replace(TASK, folder=Path("/a"), permissions=WIDE)).argv
    assert values(argv, "--allow-tool") == ["write", "shell"]
    assert values(argv, "--plugin-dir") == []


@pytest.mark.parametrize("mode", ["plan", "artifact", "review"])
def test_a_read_only_step_may_write_one_folder_and_has_no_shell(mode: str) -> None:
    task = dataclasses.replace(TASK, mode=mode, permissions=permissions(mode, ["pytest"]))  # type: ignore[arg-type]
    argv = SONNET.command(task).argv
    assert values(argv, "--allow-tool") == ["write(/slot/.gump/out/*)"]
    assert values(argv, "--available-tools") == ["view,create,edit,apply_patch,grep,rg,glob"]
    assert SONNET.command(task).files == {}


def test_keys_are_passed_by_name_and_hidden_from_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GH_TOKEN", "gho_of-the-user")
    command = SONNET.command(TASK)
    assert {"GH_TOKEN", "COPILOT_PROVIDER_API_KEY"} <= set(command.env_names)
    assert {"GH_TOKEN", "COPILOT_PROVIDER_API_KEY"} <= set(values(command.argv, "--secret-env-vars")[0].split(","))
    assert "gho_of-the-user" not in repr(command)


def test_tokens_are_written_to_the_pipe_of_the_events() -> None:
    env = SONNET.command(TASK).env
    assert (env["COPILOT_OTEL_EXPORTER_TYPE"], env["COPILOT_OTEL_FILE_EXPORTER_PATH"]) == ("file", "/dev/stdout")


def test_the_users_arguments_come_last_and_grant_nothing_in_a_read_only_step() -> None:
    words = ("--allow-all-tools", "--allow-tool", "shell", "write", "--add-dir=/tmp", "--log-level=none")
    agent = CopilotAgent("mine", arguments=words)
    assert agent.command(TASK).argv[-6:] == words
    reading = agent.command(dataclasses.replace(TASK, mode="plan")).argv
    assert reading[-1] == "--log-level=none"
    assert not {"--allow-all-tools", "shell", "--add-dir=/tmp"} & set(reading)


@pytest.mark.parametrize(
    ("name", "model"),
    [("copilot-gpt-5.5", "gpt-5.5"), ("copilot-kimi-k3", "kimi-k3"), ("copilot-sonet", None), ("copilot-", None)],
)
def test_a_name_with_a_version_passes_a_model(name: str, model: str | None) -> None:
    found = CopilotAgent.model_name.fullmatch(name)
    assert (found["model"] if found else None) == model


def test_every_short_name_with_a_model_has_a_price() -> None:
    costs = {name: CopilotAgent(name, model=model).cost for name, model in CopilotAgent.models.items()}
    assert costs.pop("copilot") == "unknown"
    assert set(costs.values()) == {"estimated"}


# -- copies of conversations ------------------------------------------------------------------------------------

ID = "11111111-2222-4333-8444-555555555555"
EVENTS = [
    {"type": "session.start", "data": {"sessionId": ID, "context": {"cwd": "/first"}}},
    {"type": "user.message", "data": {"content": f"about {ID}"}},
]
FORK = dataclasses.replace(TASK, session=SessionRef(ID, "copilot", "/first"), fork=True)


@pytest.fixture
def states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COPILOT_HOME", str(tmp_path))
    events = tmp_path / "session-state" / ID / "events.jsonl"
    events.parent.mkdir(parents=True)
    events.write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS), encoding="utf-8")
    return tmp_path / "session-state"


def resumed(task: Task) -> str:
    return next(word for word in CopilotAgent("copilot").command(task).argv if word.startswith("--resume="))[9:]


def test_a_fork_resumes_a_copy_with_an_id_of_its_own(states: Path) -> None:
    before = (states / ID / "events.jsonl").read_bytes()
    copy = resumed(FORK)
    lines = (states / copy / "events.jsonl").read_bytes().splitlines(keepends=True)
    assert copy != ID
    assert json.loads(lines[0])["data"] == {"sessionId": copy, "context": {"cwd": "/first"}}
    assert lines[1:] == before.splitlines(keepends=True)[1:]
    assert (states / ID / "events.jsonl").read_bytes() == before
    assert stat.S_IMODE((states / copy / "events.jsonl").stat().st_mode) == 0o600


def test_an_attempt_has_one_copy_and_another_attempt_another(states: Path) -> None:
    copies = {resumed(FORK), resumed(FORK)}
    assert len(copies) == 1
    others = {
        resumed(dataclasses.replace(FORK, attempt=2)),
        resumed(dataclasses.replace(FORK, worktree=Path("/other"))),
    }
    assert len({*copies, *others}) == 3
    assert {path.name for path in states.iterdir()} == {ID, *copies, *others}


@pytest.mark.parametrize("session_id", ["99999999-2222-4333-8444-555555555555", "../" + ID, "", "x"])
def test_a_conversation_that_cannot_be_copied_is_never_continued_itself(states: Path, session_id: str) -> None:
    copy = resumed(dataclasses.replace(FORK, session=SessionRef(session_id, "copilot", "/first")))
    assert copy not in {session_id, ID}
    assert {path.name for path in states.iterdir()} == {ID}


def test_a_resumed_conversation_is_not_copied(states: Path) -> None:
    assert resumed(dataclasses.replace(FORK, fork=False)) == ID
    assert {path.name for path in states.iterdir()} == {ID}
