"""Replayed cassettes run through the same code as real agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.cassettes.cassette import Cassette, write_take
from pytest_gump.agents.cassettes.neutral import conversation
from pytest_gump.agents.cassettes.replay import ReplayAgent
from pytest_gump.agents.usage import Tokens
from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.prompt import prompt_key
from pytest_gump.order import AttemptResult, Outcome, PlanItem, Section
from pytest_gump.system.processes.process import Supervisor

from tests.engine.attempt_kit import Kit, Limits, bash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

ITEM = PlanItem("Item Two", "item-2", "do it", ("src/",))


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with Supervisor() as supervisor:
        yield Kit(tmp_path, supervisor)


def play(kit: Kit, cassette: Path, **changes: Any) -> AttemptResult:
    kit.agent = ReplayAgent(Cassette.open(cassette), "claude-haiku")  # type: ignore[assignment]
    return execute(kit.order(step="build::impl[item-2]", agent="claude-haiku", item=ITEM, **changes), kit.tools())


def test_recorded_change_is_applied_and_checked(kit: Kit, tmp_path: Path) -> None:
    stream = conversation("Written.", model="claude-haiku-4-5", writes=["src/a.py"], tokens=Tokens(10, output=5))
    write_take(tmp_path / "c", step="build::impl[item-2]", stream=stream, files={"src/a.py": "y = 2\n"})
    result = play(kit, tmp_path / "c", gates=bash("test -f src/a.py"), blast_radius="enforce")
    assert result.passed, result.reason
    assert (result.message, result.usage.turns, result.usage.tokens.total) == ("Written.", 2, 15)


def test_missing_recording_is_an_agent_error_that_names_it(kit: Kit, tmp_path: Path) -> None:
    write_take(tmp_path / "c", step="build::impl[item-2]", stream=conversation())
    result = play(kit, tmp_path / "c", attempt=2)
    assert result.outcome is Outcome.AGENT_ERROR
    assert result.reason == "cassette has no attempt 2 of build::impl[item-2]; it has attempt 1"


def test_changed_task_is_refused_and_a_changed_failure_is_not(kit: Kit, tmp_path: Path) -> None:
    head = (Section("Your task", "Do it."),)
    recorded = prompt_key(kit.order(head=head))
    write_take(tmp_path / "c", step="build::impl[item-2]", prompt=recorded, stream=conversation())
    retried = play(kit, tmp_path / "c", head=(*head, Section("What failed", "1 failed in 0.31s")))
    assert retried.passed, retried.reason
    changed = play(kit, tmp_path / "c", head=(Section("Your task", "Do that."),))
    assert changed.outcome is Outcome.AGENT_ERROR
    assert "prompt changed since it was recorded" in changed.reason


def test_guard_stops_a_replay(kit: Kit, tmp_path: Path) -> None:
    write_take(tmp_path / "c", step="build::impl[item-2]", stream=conversation(turns=9), exit_code=None)
    result = play(kit, tmp_path / "c", limits=Limits(max_turns=3))
    assert (result.outcome, result.guard) == (Outcome.GUARD, "max_turns")
