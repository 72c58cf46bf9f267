"""Attempts that should continue or copy a conversation that their agent cannot use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.order import Outcome
from pytest_gump.system.processes.process import Supervisor

from tests.engine.attempt_kit import FINISH, Kit, ScriptAgent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_gump.agents.base import Forks

HERE = SessionRef("session-0", "replay", "one")
ELSEWHERE = replace(HERE, slot="two")
BEFORE = "Another conversation worked on this."


class Forking(ScriptAgent):
    forks: Forks = "never"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    with Supervisor() as supervisor:
        kit = Kit(tmp_path, supervisor)
        kit.agent = Forking('write("new.py", "x = 1\\n")\n' + FINISH)
        yield kit


@pytest.mark.parametrize(
    ("forks", "session", "note"),
    [
        ("never", HERE, "the agent's CLI cannot start with a copy of a conversation: started a new one"),
        ("in its worktree", ELSEWHERE, "the conversation belongs to another worktree: started a new one"),
    ],
)
def test_prompt_contains_earlier_work_if_the_conversation_cannot_be_copied(
    kit: Kit, forks: Forks, session: SessionRef, note: str
) -> None:
    kit.agent.forks = forks  # type: ignore[attr-defined]
    result = kit.run(session=session, fork=True, standing=BEFORE)
    assert (result.outcome, result.session_lost) == (Outcome.PASSED, True)
    assert result.notes.count(note) == 1
    task = kit.agent.tasks[-1]
    assert (task.session, task.fork) == (None, False)
    assert f"## What was done so far\n\n{BEFORE}\n" in task.prompt


@pytest.mark.parametrize("forks", ["in its worktree", "anywhere"])
def test_copy_in_the_same_worktree_needs_no_explanation_in_the_prompt(kit: Kit, forks: Forks) -> None:
    kit.agent.forks = forks  # type: ignore[attr-defined]
    result = kit.run(session=HERE, fork=True, standing=BEFORE)
    task = kit.agent.tasks[-1]
    assert (task.session, task.fork, result.session_lost) == (HERE, True, False)
    assert "What was done so far" not in task.prompt


def test_prompt_of_a_copy_in_another_worktree_names_the_new_worktree(kit: Kit) -> None:
    kit.agent.forks = "anywhere"  # type: ignore[attr-defined]
    result = kit.run(session=ELSEWHERE, fork=True, standing=BEFORE)
    task = kit.agent.tasks[-1]
    assert (task.session, task.fork, result.session_lost) == (ELSEWHERE, True, False)
    assert f"You now work in {task.worktree}" in task.prompt
    assert BEFORE not in task.prompt
    assert result.notes == ()
