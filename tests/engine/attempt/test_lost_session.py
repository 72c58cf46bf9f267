"""Attempts that should resume a conversation that the CLI no longer has. The agent is a script."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.agents.cassettes.neutral import NeutralReader
from pytest_gump.agents.usage import Provenance, Tokens, Usage
from pytest_gump.engine.attempt.lost_session import added
from pytest_gump.order import Limits, Outcome

from tests.engine.attempt_kit import FINISH, Kit, ScriptAgent, scratch_of

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.agents.base import Ending, StreamReader, Task
    from pytest_gump.system.processes.process import Supervisor

GONE = """
if "Another conversation" not in prompt:
    write("app.py", "left = 1\\n")
    spend(0.25)
    say("result", outcome="agent_error", reason="no such session", session_id=None)
    sys.exit(1)
write("fresh.py", "x = 1\\n")
spend(0.5)
"""
SESSION = SessionRef("session-0", "replay", "one")


class ForgetfulReader(NeutralReader):
    """Recognizes the script's message that the conversation is unknown."""

    def finish(self, *, exit_code: int | None, stderr: str, stopped: bool) -> Ending:
        ending = super().finish(exit_code=exit_code, stderr=stderr, stopped=stopped)
        return dataclasses.replace(ending, lost_session=ending.reason == "no such session")


class Forgetful(ScriptAgent):
    def reader(self, task: Task) -> StreamReader:
        return ForgetfulReader(task, cli=self.cli)


@pytest.fixture
def kit(tmp_path: Path, supervisor: Supervisor) -> Kit:
    kit = Kit(tmp_path, supervisor)
    kit.agent = Forgetful(GONE + FINISH)
    return kit


def test_usage_of_both_starts_is_summed_in_one_attempt(kit: Kit) -> None:
    result = kit.run(session=SESSION, standing="Another conversation worked on this.")
    assert result.outcome is Outcome.PASSED
    assert [task.session for task in kit.agent.tasks if "Another" not in task.prompt] == [SESSION, SESSION]
    assert kit.agent.tasks[-1].session is None
    assert result.usage.cost_usd == pytest.approx(0.75)
    assert (result.usage.tokens.input, result.usage.turns) == (200, 2)
    assert result.session is not None
    assert result.session.id == "session-1"


def test_files_of_the_first_start_are_removed(kit: Kit) -> None:
    result = kit.run(session=SESSION, standing="Another conversation worked on this.")
    files = kit.files(result.snapshot)
    assert (files["app.py"], files["fresh.py"]) == ("x = 1", "x = 1")


def test_output_of_the_first_start_is_kept_in_its_own_folder(kit: Kit) -> None:
    folder = scratch_of(kit.run(session=SESSION, standing="Another conversation worked on this."))
    assert "no such session" in (folder / "lost-session" / "stream.ndjson").read_text()
    assert "no such session" not in (folder / "stream.ndjson").read_text()


def test_conversation_lost_twice_is_an_agent_error(kit: Kit) -> None:
    result = kit.run(session=SESSION)
    assert (result.outcome, result.reason) == (Outcome.AGENT_ERROR, "no such session")
    assert [one.session for one in dict.fromkeys(kit.agent.tasks)] == [SESSION, None]


def test_attempt_without_a_conversation_is_not_started_twice(kit: Kit) -> None:
    result = kit.run()
    assert (result.outcome, result.session_lost) == (Outcome.AGENT_ERROR, False)
    assert result.usage.cost_usd == pytest.approx(0.25)


def test_guard_takes_precedence_over_a_lost_conversation(kit: Kit) -> None:
    result = kit.run(session=SESSION, limits=Limits(max_budget=0.1))
    assert (result.outcome, result.session_lost) == (Outcome.GUARD, False)


def test_conversation_of_another_worktree_is_treated_as_lost(kit: Kit) -> None:
    session = dataclasses.replace(SESSION, slot="other")
    result = kit.run(session=session, standing="Another conversation worked on this.")
    assert (result.outcome, result.session_lost) == (Outcome.PASSED, True)
    assert result.usage.cost_usd == pytest.approx(0.5)


def usage(cost_usd: float | None, provenance: Provenance, tokens: int = 10) -> Usage:
    return Usage(Tokens(input=tokens), cost_usd, provenance, turns=1 if tokens else 0)


@pytest.mark.parametrize(
    ("one", "other", "cost_usd", "provenance"),
    [
        (usage(0.25, "reported"), usage(0.5, "reported"), 0.75, "reported"),
        (usage(0.25, "estimated"), usage(0.5, "reported"), 0.75, "estimated"),
        (usage(None, "unknown"), usage(0.5, "reported"), None, "unknown"),
        (usage(None, "unknown", tokens=0), usage(0.5, "reported"), 0.5, "reported"),
        (usage(None, "unknown", tokens=0), usage(None, "unknown", tokens=0), None, "unknown"),
        (usage(0.25, "reported"), usage(None, "unknown", tokens=0), 0.25, "reported"),
    ],
)
def test_sum_of_costs_is_unknown_if_one_is_unknown(
    one: Usage, other: Usage, cost_usd: float | None, provenance: str
) -> None:
    total = added(one, other)
    assert (total.cost_usd, total.provenance) == (cost_usd, provenance)


def test_context_of_two_starts_is_the_larger_one() -> None:
    starts = (dataclasses.replace(usage(0.25, "reported"), context_tokens=context) for context in (90_000, 20_000))
    assert added(*starts).context_tokens == 90_000
