"""One workflow with a context workflow, a validator, a call and an approval, run with each CLI and scripted answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.conformance import CLIS
from pytest_gump.conformance.model.script import Answer, Scene, Script, Shell, Write
from pytest_gump.conformance.model.server import ModelServer
from pytest_gump.conformance.subjects import SUBJECTS
from pytest_gump.workflow.path import StepPath

from tests.kits.commands import gump

from .test_tdd import RIGHT, TESTS, project, scene

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import AttemptRecord
    from pytest_gump.testing import GumpProject

__all__ = ["project"]

COMPOSED: Final = """\
name: composed
steps:
  - name: change
    agent: claude-sonnet
    prompt: Write the module double.
    context: [{workflow: explain, with: {topic: doubling}}]
    max_budget: 5
    gate: [compile, {validate: verdict, with: {focus: tests, change: "{diff}"}}]
    on_failure: {retry: 3}
  - name: document
    workflow: notes
    with: {language: French, change: "{diff}"}
  - name: finish
    agent: claude-sonnet
    session: reuse
    prompt: Finish the work.
    hitl: before_gate
    gate: [compile]
"""
EXPLAIN: Final = """\
name: explain
inputs: {topic: {required: true}}
steps:
  - {name: read, agent: claude-sonnet, output: artifact, prompt: "Explain {topic}."}
"""
VERDICT: Final = """\
name: verdict
inputs: {focus: {}, change: {required: true}}
steps:
  - name: review
    agent: claude-sonnet
    output: review
    prompt: "Judge the {focus} of this change: {change}"
    on_failure: {guard_fail: {retry: 2}}
"""
NOTES: Final = """\
name: notes
inputs: {language: {type: choice, choices: [English, French]}, change: {}}
steps:
  - {name: write, agent: claude-sonnet, prompt: "Write notes in {language} about this change: {change}"}
"""
AUTHOR: Final = "../w1"
"""The author's worktree, seen from the worktree of the validator."""
INTRUSION: Final = (
    Answer("I write here, and where the author works.", (Shell(f"touch intruder.sh {AUTHOR}/intruder.sh"),)),
    Answer("Then with a tool.", (Write(f"{AUTHOR}/intruder.txt", "mine\n"),)),
)
REFUSED: Final = '{"pass": false, "comment": "double has no test."}'
REVIEW: Final = ".gump/out/review.json"
SCRIPT: Final = Script(
    (
        scene("Finish the work", "README.md", "Double.\n"),
        scene("Write notes in French", "NOTES.md", "Le double.\n"),
        scene("Explain doubling", ".gump/out/artifact.txt", "To double is to add a number to itself.\n"),
        scene("+def test_double_of_three", ".gump/out/validate.json", '{"pass": true, "comments": "Good."}'),
        scene("The guard `no_write` stopped", REVIEW, REFUSED),
        Scene((*INTRUSION, Answer("No.", (Write(REVIEW, REFUSED),)), Answer("Written.")), match="Judge the tests"),
        scene("double has no test.", "tests/test_double.py", TESTS),
        scene("Write the module double", "double.py", RIGHT),
    )
)
VALIDATOR: Final = "change--validate-verdict::review"


@pytest.mark.parametrize("cli", CLIS if "GUMP_AGENTS_SLOW" in os.environ else ["claude"])
def test_a_call_a_validator_and_an_approval_work_with_the_cli(
    cli: str, project: GumpProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"composed": COMPOSED, "explain": EXPLAIN, "verdict": VERDICT, "notes": NOTES}.items():
        project.workflow(name, text)
    subject = SUBJECTS[cli]
    slots = Path(os.environ["XDG_CACHE_HOME"]) / "gump" / "worktrees"
    options = ("-o", f"gump_agents=claude-sonnet = {subject.agent}", "-o", "gump_unknown_cost=allow", "-p", "no:xdist")
    with ModelServer(cli, SCRIPT, slots, depth=2) as server:
        for name, value in subject.install(Path(os.environ["HOME"]), server.url).items():
            monkeypatch.setenv(name, value)
        waits = project.pytester.runpytest_subprocess("--gump-workflow=composed", "spec.md", *options)
        assert waits.ret == pytest.ExitCode.TESTS_FAILED
        check_waiting(project, server, slots)
        assert gump("approve", "--by", "Ada").returncode == 0
        asked = len(server.served)
        assert project.pytester.runpytest_subprocess("--gump-resume", *options).ret == pytest.ExitCode.OK
        assert len(server.served) == asked, "no agent starts after the approval"
    files = project.tree(project.record().branch)
    assert {"double.py", "tests/test_double.py", "NOTES.md", "README.md"} <= files.keys()
    assert not [name for name in files if "intruder" in name]


def check_waiting(project: GumpProject, server: ModelServer, slots: Path) -> None:
    record = project.record()
    made = [(attempt.step, attempt.verdict) for attempt in record.attempts if not is_stopped(attempt)]
    assert made == [
        ("change--context-explain::read", "passed"),
        ("change", "retried"), (VALIDATOR, "again"), ("change", "passed"), (VALIDATOR, "passed"),
        ("document::write", "passed"), ("finish", "awaiting"),
    ]  # fmt: skip
    assert "To double is to add" in project.prompt("change")
    assert "double has no test." in project.prompt("change", 2)
    assert "+def double(x):" in project.prompt("document::write")
    places = {attempt.step: attempt.slot for attempt in record.attempts}
    assert {places[step] for step in ("change", "document::write", "finish")} == {"w1"}
    assert places[VALIDATOR] != "w1"
    assert not [*slots.rglob("intruder*")], "the validator cannot write to a worktree"
    results = [attempt.result for attempt in record.attempts if attempt.result is not None]
    spent = [result.usage.cost_usd or 0 for result in results if result.step.startswith("change")]
    assert record.total_in(StepPath.parse("change")).cost_usd == pytest.approx(sum(spent))
    last = server.main[-1].text
    assert "Write the module double" in last, "reuse continues the conversation of the author"
    assert not [words for words in ("Write notes in", "Judge the", "Explain doubling") if words in last]


def is_stopped(attempt: AttemptRecord) -> bool:
    """True for an attempt of the validator that a guard ended, because its CLI showed the refused write as a call."""
    result = attempt.result
    return attempt.step == VALIDATOR and result is not None and result.guard == "no_write"
