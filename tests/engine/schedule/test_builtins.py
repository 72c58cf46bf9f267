"""The attempts of each built-in workflow: agents, conversations and files, after the failures of a table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.agents.base import SessionRef
from pytest_gump.engine.record.records import AttemptRecord, RunRecord
from pytest_gump.engine.run.sessions import choose_session
from pytest_gump.order import to_wire
from pytest_gump.workflow.edit import foreach_groups
from pytest_gump.workflow.find import list_workflows
from pytest_gump.workflow.load import load_workflow
from pytest_gump.workflow.refs import Scopes

from tests.engine.schedule.test_validation import Reviews
from tests.engine.schedule_kit import plan

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.workflow.model import Workflow

NOWHERE: Final = Path("/nowhere/project")
TABLE: Final = Path(__file__).with_name("builtins.txt").read_text(encoding="utf-8")
CASES: Final = [case.split("\n>>>\n") for case in re.split(r"^=== ", TABLE, flags=re.MULTILINE)[1:]]
BUILTINS: Final = {found.name: found for found in list_workflows(NOWHERE, None)}
PLANS: Final = {**dict.fromkeys(("decompose", "split", "survey", "plan"), plan("one")), "nothing": ()}


def attempts(workflow: Workflow, fails: dict[str, list[str]]) -> list[str]:
    """Return a line for each attempt of a run with one plan item: step, number, agent, conversation, files."""
    run = Reviews(workflow.steps, fails=fails, plans=PLANS)
    record = RunRecord()
    lines: list[str] = []
    while not run.schedule.done:
        run.step()
        ready, own = run.orders[-1], f"{run.orders[-1].path} {run.orders[-1].attempt}"
        session = conversation(workflow, record, ready)
        attempt = AttemptRecord(len(lines), str(ready.path), ready.attempt, ready.mode, ready.agent, ready.entry, 0.0)
        begun = None if ready.agent is None else session or SessionRef(own, "claude", "w1")
        attempt.finish(to_wire(replace(run.dones[-1].result, session=begun)))
        record.attempts.append(attempt)
        begins = "" if ready.agent is None else f", continues {session.id}" if session else ", new"
        said = "" if ready.prompt is None else f", {ready.prompt}"
        lines.append(f"{own} {ready.agent or '-'}{begins}, {files(ready)}{said}")
    return lines


def conversation(workflow: Workflow, record: RunRecord, ready: Ready) -> SessionRef | None:
    scopes, target = Scopes(workflow), ready.step.session.step
    return choose_session(
        ready,
        record,
        foreach=[*foreach_groups(workflow.steps)],
        call_of=scopes.scope_of,
        cli_of=lambda name: name.partition("-")[0],
        target="::".join(scopes.resolve(ready.path.names, target)) if target else None,
    ).session


def files(ready: Ready) -> str:
    """Describe the files with which an attempt starts."""
    return "its own worktree" if ready.checks else f"files of {ready.base}"


@pytest.mark.parametrize(("given", "expected"), CASES, ids=[case[0].partition("\n")[0] for case in CASES])
def test_the_attempts_of_a_builtin(given: str, expected: str) -> None:
    name, *failures = given.splitlines()
    fails = {step: outcomes.split() for step, _, outcomes in (line.partition(": ") for line in failures)}
    workflow = load_workflow(BUILTINS[name.split(",")[0]], project=NOWHERE, agents=lambda _: None).workflow
    assert "\n".join(attempts(workflow, fails)) == expected.strip()


def test_each_builtin_has_a_case() -> None:
    assert {given.partition("\n")[0].split(",")[0] for given, _ in CASES} == BUILTINS.keys() - {"arch-review"}
