from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pytest_gump.agents import registry
from pytest_gump.agents.base import Agent, Ending, Event, Task, Text, ToolCall
from pytest_gump.agents.cassettes.cassette import Cassette, write_take
from pytest_gump.agents.cassettes.neutral import conversation
from pytest_gump.agents.cassettes.replay import ReplayAgent, prompt_text
from pytest_gump.agents.family import family_of
from pytest_gump.agents.usage import Tokens, Usage

STREAMS = Path(__file__).parents[1] / "recorded"
CLAUDE = STREAMS / "claude"


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassette"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    slot = tmp_path / "slot"
    slot.mkdir()
    return Task(
        step="build::impl[item-2]",
        item="item-2",
        attempt=1,
        agent="claude-haiku",
        prompt="Do it.\nWell.\n",
        worktree=slot,
        mode="diff",
    )


def play(cassette: Path, task: Task, **options: Any) -> tuple[list[Event], Ending]:
    """Run the agent as the engine does: a child process whose output is read line by line."""
    cli = family_of(task.agent) or "replay"
    agent: Agent = ReplayAgent(Cassette.open(cassette), task.agent, cli=cli, **options)
    command = agent.command(task)
    done = subprocess.run(command.argv, input=command.stdin, cwd=task.worktree, capture_output=True, check=False)
    reader = agent.reader(task)
    events = [event for line in done.stdout.splitlines() for event in reader.feed(line)]
    return events, reader.finish(exit_code=done.returncode, stderr=done.stderr.decode(), stopped=False)


def test_a_neutral_recording_plays_for_its_agent(cassette: Path, task: Task) -> None:
    stream = conversation("Done.", session_id="s", writes=["{{worktree}}/a.py"], tokens=Tokens(input=9), cost_usd=0.5)
    write_take(cassette, step=task.step, agent="claude-haiku", stream=stream, files={"a.py": "x = 1\n"})
    events, ending = play(cassette, task)
    assert ending.outcome == "ok"
    assert ending.usage == Usage(Tokens(input=9), 0.5, "reported", turns=2, tool_calls=1)
    assert ending.session is not None
    assert ending.session.cli == "claude"
    assert ToolCall("Write", path=f"{task.worktree}/a.py") in events
    assert (task.worktree / "a.py").read_text() == "x = 1\n"


def test_a_recorded_claude_stream_is_read_as_a_claude_stream(cassette: Path, task: Task) -> None:
    lines = (CLAUDE / "basic" / "stream.ndjson").read_bytes().splitlines()
    write_take(cassette, step=task.step, agent="claude-haiku", cli="claude", stream=lines)
    events, ending = play(cassette, task)
    assert Text("Now run it.") in events
    assert ending.usage.cost_usd == pytest.approx(0.014904)


def test_the_replay_agent_has_the_name_and_family_of_the_replaced_agent(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step)
    agent = ReplayAgent(Cassette.open(cassette), "codex-gpt54", cli="codex")
    assert isinstance(agent, Agent)
    assert (agent.name, agent.cli, agent.missing()) == ("codex-gpt54", "codex", None)


def refusal(cassette: Path, task: Task, **options: Any) -> str:
    events, ending = play(cassette, task, **options)
    assert events == []
    assert ending.outcome == "agent_error"
    assert ending.usage.turns == 0
    return ending.reason


@pytest.mark.parametrize(("recorded", "named"), [([1, 2], "attempts 1, 2"), ([2], "attempt 2")])
def test_the_reason_for_a_missing_attempt_names_the_recorded_attempts(
    cassette: Path, task: Task, recorded: list[int], named: str
) -> None:
    for attempt in recorded:
        write_take(cassette, step=task.step, attempt=attempt)
    reason = refusal(cassette, dataclasses.replace(task, attempt=3))
    assert reason == f"cassette has no attempt 3 of build::impl[item-2]; it has {named}"


def test_the_reason_for_a_missing_step_names_the_recorded_steps(cassette: Path, task: Task) -> None:
    write_take(cassette, step="decompose")
    write_take(cassette, step="build::tests[item-2]")
    assert refusal(cassette, task) == (
        "cassette has no recording of build::impl[item-2]; it has decompose, build::tests[item-2]"
    )


def test_a_recording_of_another_agent_is_refused(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, agent="claude-sonnet")
    write_take(cassette, step=task.step, agent="claude-opus")
    reason = "cassette has attempt 1 of build::impl[item-2] by claude-opus and claude-sonnet, not by claude-haiku"
    assert refusal(cassette, task) == reason
    assert refusal(cassette, task, lenient=True) == reason


def test_a_recording_without_an_agent_plays_if_the_agent_has_none(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, stream=conversation("anyone"))
    assert play(cassette, task)[1].message == "anyone"
    write_take(cassette, step=task.step, agent="claude-haiku", stream=conversation("mine"))
    assert play(cassette, task)[1].message == "mine"


def test_an_unchanged_prompt_plays(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, prompt=task.prompt, stream=conversation())
    assert play(cassette, task)[1].outcome == "ok"


@pytest.mark.parametrize(
    ("now", "difference"),
    [
        ("Do it.\nBadly.\n", "line 2 was 'Well.', is 'Badly.'"),
        ("Do it.\n", "line 2 was 'Well.', is absent"),
        ("Do it.\nWell.\nNow.\n", "line 3 was absent, is 'Now.'"),
        ("Do it.\nWell.", "only line endings differ"),
    ],
)
def test_a_changed_prompt_is_refused_with_its_first_different_line(
    cassette: Path, task: Task, now: str, difference: str
) -> None:
    write_take(cassette, step=task.step, prompt=task.prompt, stream=conversation())
    changed = dataclasses.replace(task, prompt=now)
    assert refusal(cassette, changed) == (
        f"attempt 1 of build::impl[item-2]: prompt changed since it was recorded: {difference}"
    )


def test_a_changed_prompt_is_refused_without_the_recorded_text(cassette: Path, task: Task) -> None:
    recording = write_take(cassette, step=task.step, prompt="other")
    (cassette / recording.folder / "prompt.md").unlink()
    assert refusal(cassette, task) == (
        "attempt 1 of build::impl[item-2]: prompt changed since it was recorded (--gump-replay-lenient plays it anyway)"
    )


def test_lenient_plays_a_changed_prompt(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, prompt="other", stream=conversation())
    assert play(cassette, task, lenient=True)[1].outcome == "ok"


def test_only_the_declared_parts_of_a_prompt_are_compared(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, prompt="declared", stream=conversation())
    declared = dataclasses.replace(task, prompt="declared, and what failed", prompt_key="declared")
    assert play(cassette, declared)[1].outcome == "ok"


def test_the_path_of_the_slot_does_not_change_a_prompt(task: Task) -> None:
    named = dataclasses.replace(task, prompt=f"work in {task.worktree} only")
    assert prompt_text(named) == "work in {{worktree}} only"


def test_a_stream_of_an_unknown_cli_is_refused(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, cli="mine")
    assert refusal(cassette, task) == "attempt 1 of build::impl[item-2]: no adapter reads the recorded stream of mine"


def test_a_recorded_stream_has_the_cost_of_its_live_agent(cassette: Path, task: Task) -> None:
    lines = (STREAMS / "codex" / "basic" / "stream.ndjson").read_bytes().splitlines()
    write_take(cassette, step=task.step, agent="codex-gpt55", cli="codex", stream=lines)
    by_codex = dataclasses.replace(task, agent="codex-gpt55")
    _, unpriced = play(cassette, by_codex)
    _, priced = play(cassette, by_codex, live=registry.find("codex-gpt55"))
    assert unpriced.usage.tokens == priced.usage.tokens
    assert unpriced.usage.provenance == "unknown"
    assert priced.usage.cost_usd == pytest.approx(0.024855)


def test_a_path_outside_the_worktree_is_refused(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, stream=conversation(), files={"a": ""}, delete=["x"])
    recording = Cassette.open(cassette).takes[0]
    (cassette / recording.folder / "delete.json").write_text('["../x"]')
    assert refusal(cassette, task) == "cassette: not a path inside the worktree: '../x'"


def test_a_recorded_exit_code_3_is_not_a_refusal(cassette: Path, task: Task) -> None:
    write_take(cassette, step=task.step, exit_code=3, stderr="it broke\n")
    assert refusal(cassette, task) == "exit code 3 without a result: it broke"


def test_a_missing_folder_of_a_recording_is_refused(cassette: Path, task: Task) -> None:
    recording = write_take(cassette, step=task.step)
    shutil.rmtree(cassette / recording.folder)
    assert refusal(cassette, task).startswith("cassette: [Errno 2] No such file or directory")
