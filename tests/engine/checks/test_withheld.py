from __future__ import annotations

import pytest
from pytest_gump.engine.checks.withheld import hint, likely, needed_often

from tests.engine.attempt.test_attempt import kit
from tests.engine.attempt_kit import Kit, bash

__all__ = ["kit"]

SET = {
    "PATH": "/bin",
    "AWS_PROFILE": "work",
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "RUSTUP_HOME": "/opt/rustup",
    "JAVA_HOME": "/opt/java",
    "MY_DATABASE_URL": "postgres://",
    "EDITOR": "vi",
}


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("Not logged in · Please run /login", ["AWS_PROFILE", "CLAUDE_CODE_USE_BEDROCK"]),
        ("API Error: 403 forbidden", ["AWS_PROFILE", "CLAUDE_CODE_USE_BEDROCK"]),
        ("error: rustup could not choose a version: no default toolchain", ["JAVA_HOME", "RUSTUP_HOME"]),
        ("KeyError: 'MY_DATABASE_URL'", ["MY_DATABASE_URL"]),
        ("1 failed, 3 passed", []),
        ("EDITOR", []),
    ],
)
def test_likely_variables_are_found_in_the_message(words: str, names: list[str]) -> None:
    assert likely({"PATH"}, words, SET) == names
    assert likely(SET, words, SET) == []


def test_variables_of_clouds_and_toolchains_are_often_needed() -> None:
    assert needed_often({"JAVA_HOME"}, SET) == ["AWS_PROFILE", "CLAUDE_CODE_USE_BEDROCK", "RUSTUP_HOME"]


def test_hint_is_one_line_for_many_variables() -> None:
    assert hint([f"AWS_{n}" for n in range(8)], "agents", "gump_agent_env") == (
        "set here but not passed to agents: AWS_0, AWS_1, AWS_2, AWS_3, AWS_4, AWS_5 and 2 more; gump_agent_env passes them"
    )


def test_note_of_a_failed_gate_names_the_missing_variable(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_URL", "x")
    result = kit.run("write('new.py', '')", gates=bash('echo MY_SERVICE_URL is missing; test -n "$MY_SERVICE_URL"'))
    assert "set here but not passed to gates: MY_SERVICE_URL; gump_gate_env passes them" in result.notes


def test_note_of_an_agent_that_is_not_logged_in_names_variables_of_clouds(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "work")
    kit.script("say('result', outcome='error', reason='Not logged in')", finish=False)
    assert any("AWS_PROFILE" in note and "gump_agent_env" in note for note in kit.run().notes)
