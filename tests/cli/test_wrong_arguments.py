"""Messages about arguments that are missing, wrong, or name a file that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Gump


@pytest.fixture
def failed(gump: Gump) -> Gump:
    gump.project.answer("first", writes={"first.py": "first = 1\n"})
    gump.project.answer("second", writes={"notes.txt": "no code\n"})
    gump.project.run("pair").assert_outcomes(passed=1, failed=1)
    return gump


def test_log_without_a_step_names_the_steps_of_the_run(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    for words in ([], [run_id], [run_id[:12]], [run_id, "first", "second"]):
        errors = failed.bad("log", *words, code=2)
        assert errors == f"gump: error: gump log needs a step of run {run_id}\n  hint: its steps: first, second\n"


def test_log_of_an_unknown_name_lists_the_steps(failed: Gump) -> None:
    assert "has no step 'frist'" in failed.bad("log", "frist", code=2)
    run_id = failed.project.folders()[0].run_id
    assert "has no step 'frist'" in failed.bad("log", run_id, "frist", code=2)
    assert failed.good("log", run_id, "first").startswith("first attempt 1")


def test_log_without_runs_is_an_error(gump: Gump) -> None:
    assert "no runs in" in gump.bad("log")


def test_apply_of_a_failed_run_has_a_hint_to_merge_passed_steps(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    assert f"hint: gump apply {run_id} --force merges its steps that passed" in failed.bad("apply")
    failed.good("discard", run_id)
    assert "--force" not in failed.bad("apply")


@pytest.mark.parametrize("content", [b"\xff\xfen\x00", b"name: \xe9\n"], ids=["utf-16", "latin-1"])
def test_an_unreadable_workflow_does_not_hide_the_others(gump: Gump, content: bytes) -> None:
    (gump.project.path / ".gump" / "workflows" / "odd.yaml").write_bytes(content)
    rows = [line.split(maxsplit=2) for line in gump.good("playbook", "list").splitlines()]
    (message,) = [row[2] for row in rows if row[0] == "odd"]
    assert message.endswith(")")
    assert "is not UTF-8 text" in message
    assert ["pair", "project", "Two changes, one after the other"] in rows


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gc", "--keep-last", "-1"), "argument --keep-last: not a whole number above zero: '-1'"),
        (("status", "-n", "x"), "argument -n: not a whole number above zero: 'x'"),
        (("report", "--last", "0"), "argument --last: not a whole number above zero: '0'"),
        (("gc", "--older-than", "x"), "argument --older-than: not a duration: 'x'; write it like 90s, 5m or 1h30m"),
    ],
)
def test_an_invalid_number_has_a_clear_message(gump: Gump, words: tuple[str, ...], message: str) -> None:
    assert message in gump.bad(*words, code=2)


def test_run_accepts_the_ci_option(gump: Gump) -> None:
    assert "--ci auto|github|gitlab|off" in gump.good("run", "--help")
    assert gump("run", "spec.md", "--workflow", "pair", "--ci=off", "--dry-run")[0] == 0


@pytest.mark.parametrize(
    ("words", "today"),
    [
        ("run --replay --from-step impl", "gump run --from STEP[@RUN]"),
        ("run --replay --from-step=impl --run 7f3a", "gump run --from STEP[@RUN]"),
        ("run spec.md --workflow tdd --agent-stub", "--replay DIR"),
        ("report --detail first", "gump log [RUN] STEP"),
        ("apply --run 7f3a", "gump apply RUN"),
        ("gc --keep-last 0", "gump gc --keep-last 1"),
        ("gc --keep-last=0", "gump gc --keep-last 1"),
        ("config set verbose true", "gump config"),
        ("version", "gump --version"),
    ],
)
def test_a_command_of_the_original_gump_is_answered_with_the_current_one(gump: Gump, words: str, today: str) -> None:
    errors = gump.bad(*words.split(), code=4 if words.startswith("run") else 2)
    assert "belongs to the original Gump" in errors
    assert today in errors.split("hint: ")[1]


def test_values_that_look_like_former_commands_are_accepted(gump: Gump) -> None:
    assert "original" not in gump.bad("log", "version")
    assert "original" not in gump.bad("report", "set", code=2)
    assert "original" not in gump("run", "spec.md", "--workflow", "pair", "--dry-run", "--", "--run")[2]
    assert gump("config", "--json")[0] == 0
