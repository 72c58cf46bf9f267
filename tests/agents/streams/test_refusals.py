from __future__ import annotations

from dataclasses import replace

from pytest_gump.agents.clis.claude_stream import ClaudeReader
from pytest_gump.agents.streams.refusals import SETTING, Refusals, called

from tests.agents.recordings.claude import CLAUDE
from tests.agents.stream_kit import TASK, feed, line


def counted(*calls: str, is_command: bool = False, may_run: bool = True) -> str:
    refusals = Refusals()
    for call in calls:
        refusals.add(call, is_command=is_command)
    return refusals.note(may_run=may_run)


def test_refusals_are_one_note_with_counts() -> None:
    pytest, make = called("Bash", "pytest -q"), called("Bash", "make")
    assert counted(make, pytest, pytest) == ("3 tool calls refused: Bash 'pytest -q' (2 times), Bash 'make'")
    assert counted(called("skill", None)) == "1 tool call refused: skill"


def test_the_note_stays_short() -> None:
    note = counted(*(called("Bash", f"{number}\n{'x' * 500}") for number in range(20)))
    assert note.endswith(", Bash '5', and 14 others")
    assert len(counted(called("Bash", "x" * 500))) < 200
    assert counted(*map(str, range(5000))).startswith("1000 tool calls refused")


def test_the_setting_is_named_only_for_commands_of_a_step_that_may_run_some() -> None:
    assert counted("Bash 'make'", is_command=True) == f"1 tool call refused ({SETTING}): Bash 'make'"
    assert SETTING not in counted("Bash 'make'", is_command=True, may_run=False)
    assert SETTING not in counted("Write '/etc/x'")


def test_a_read_only_step_has_no_setting_for_its_commands() -> None:
    reader = ClaudeReader(replace(TASK, mode="review"))
    feed(reader, CLAUDE.lines("readonly"))
    (note,) = reader.finish(exit_code=0, stderr="", stopped=False).notes
    assert note.startswith("2 tool calls refused: ")
    assert SETTING not in note


def test_a_refusal_that_several_results_list_counts_once() -> None:
    denied = {"tool_name": "Bash", "tool_use_id": "a", "tool_input": {"command": "make"}}
    result = line(type="result", subtype="success", is_error=False, permission_denials=[denied])
    assert CLAUDE.end([result, result]).notes == (f"1 tool call refused ({SETTING}): Bash 'make'",)


def test_a_stopped_run_has_the_refusals_so_far() -> None:
    *lines, _ = CLAUDE.lines("acceptedits-outside")
    assert CLAUDE.end(lines, stopped=True).notes == (
        "1 tool call refused: Write: Path is outside allowed working directories",
    )
