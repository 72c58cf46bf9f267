"""`gump approve`: what it records and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from pytest_gump.system.environment import child_environment
from pytest_gump.system.processes.process import Request, Supervisor
from pytest_gump.system.processes.process_table import MARK

from tests.cli.conftest import Gump

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.testing import GumpProject

    from tests.kits.saved import Saved

WORKFLOW: Final = """\
name: two
steps:
  - name: both
    parallel: true
    steps:
      - {name: one, agent: claude-haiku, prompt: Do one., hitl: after_gate}
      - {name: two, agent: claude-haiku, prompt: Do two., hitl: after_gate}
  - {name: ship, approve: {expires: 3d}}
"""


@pytest.fixture
def waiting(gump_project: GumpProject, saved: Saved, capsys: pytest.CaptureFixture[str]) -> Gump:
    """Return the command in the project of a run in which two steps wait for a person."""
    saved.give("two waiting", gump_project, _wait)
    return Gump(gump_project, capsys)


def _wait(project: GumpProject) -> None:
    project.workflow("two", WORKFLOW)
    project.answer("both::one", writes={"one.py": "x = 1\n"})
    project.answer("both::two", writes={"two.py": "x = 2\n"})
    assert project.run("two").ret == pytest.ExitCode.TESTS_FAILED


def test_an_answer_names_the_person_and_the_commit(waiting: Gump) -> None:
    output = waiting.good("approve", "two", "--by", " Ada ")
    record = waiting.project.record()
    (answer,) = record.approvals.answers
    assert (answer.step, answer.approved, answer.by, answer.text) == ("both::two", True, "Ada", "")
    assert answer.commit == record.approvals.questions[answer.number].commit
    assert f"approved both::two at {answer.commit[:10]} as Ada" in output
    assert "1 changed file, +1 -0 lines" in output
    assert waiting.project.tree(answer.commit)["two.py"] == "x = 2"
    assert "both::one and 1 more" in waiting.good("status")
    assert f"both::two approved at {answer.commit[:10]} by Ada, 20" in waiting.good("report")
    assert "awaiting: both::one must be approved first" in waiting.good("report")
    assert "approved both::one at" in waiting.good("approve", "--by", "Bob\n<b@example.org>\x1b[31m")
    assert waiting.project.record().approvals.answers[-1].by == "Bob <b@example.org>"
    resume = f"pytest --gump-resume={record.run_id}"
    assert f"awaiting: answered; {resume} continues the run" in " ".join(waiting.good("report").split())
    assert "both::one and 1 more (answered; resume the run)" in waiting.good("status")


def test_another_answer_replaces_the_first(waiting: Gump) -> None:
    waiting.good("approve", "one", "--by", "Ada")
    assert "both::one is already approved by Ada" in waiting.bad("approve", "one", "--by", "Bob")
    waiting.good("approve", "one", "--by", "Bob", "--reject", "no")
    record = waiting.project.record()
    (question,) = (each for each in record.approvals.questions.values() if each.step == "both::one")
    answer = record.approvals.answer_to(question)
    assert answer is not None
    assert (answer.approved, answer.by, answer.text) == (False, "Bob", "no")


WRONG: Final = [
    (["--by", "Ada"], 2, "several steps wait for approval\n  hint: name one: both::one, both::two"),
    (["ship", "--by", "Ada"], 2, "step 'ship' does not wait for approval\n  hint: these wait: both::one, both::two"),
    (["one"], 1, "without a terminal, --by must name the person who answers\n  hint: gump approve --by NAME"),
    (["one", "--by", " "], 1, "without a terminal, --by must name the person who answers"),
    (["one", "--by", "\x1b[31m"], 1, "without a terminal, --by must name the person who answers"),
    (["one", "--by", "Ada", "--reject", " \x1b[31m"], 2, "--reject needs a reason"),
    (["a", "b", "c"], 2, "gump approve takes at most a run and a step"),
    (["nope", "one", "--by", "Ada"], 2, "no run 'nope' in "),
]


def test_wrong_uses(waiting: Gump) -> None:
    for words, code, message in WRONG:
        assert message in waiting.bad("approve", *words, code=code)
    assert not waiting.project.record().approvals.answers


def test_a_run_without_a_waiting_step(passed: Gump) -> None:
    assert "no step waits for approval" in passed.bad("approve", "--by", "Ada")
    run_id = passed.project.folders()[0].run_id
    assert f"no step of run {run_id} waits for approval" in passed.bad("approve", run_id, "--by", "Ada")


def test_an_attempt_cannot_approve(waiting: Gump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "20261129-000000-two-abcdef-1")
    assert "an attempt cannot approve its own work" in waiting.bad("approve", "one", "--by", "Ada")


HIDDEN: Final = f"env -i {sys.executable} -m pytest_gump approve one --by Ada > said 2>&1"


@pytest.mark.parametrize(
    "command",
    [
        f"{HIDDEN}; true",
        pytest.param(
            f"(setsid {HIDDEN} &); until test -s said; do sleep 0.02; done",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="macOS has no subreaper"),
        ),
    ],
    ids=["hidden", "detached"],
)
def test_an_attempt_cannot_hide_its_mark(waiting: Gump, tmp_path: Path, command: str) -> None:
    folder = waiting.project.path
    with Supervisor() as supervisor:
        supervisor.run(Request((), folder, child_environment(), "a-1", tmp_path / "out", shell=command), timeout_s=60)
    assert "an attempt cannot approve its own work" in (folder / "said").read_text()
    assert not waiting.project.record().approvals.answers


def test_nothing_is_approved_while_an_attempt_lives(waiting: Gump) -> None:
    run_id = waiting.project.folders()[0].run_id
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: f"{run_id}-one-a1-x"}) as process:
        errors = waiting.bad("approve", "one", "--by", "Ada")
        process.kill()
    assert f"processes of an attempt of run {run_id} are still running: {process.pid}" in errors
    waiting.good("approve", "one", "--by", "Ada")


def test_nothing_is_approved_while_another_process_uses_the_run(waiting: Gump) -> None:
    folder = waiting.project.folders()[0]
    with folder.owned():
        assert f"another process works on run {folder.run_id}" in waiting.bad("approve", "one", "--by", "Ada")


def test_nothing_is_approved_after_a_discard(waiting: Gump) -> None:
    run_id = waiting.project.folders()[0].run_id
    waiting.good("discard", run_id)
    assert f"run {run_id} was discarded" in waiting.bad("approve", "one", "--by", "Ada")


def test_the_newest_run_that_can_be_approved_is_meant(waiting: Gump) -> None:
    waiting.project.run("two")
    newest, older = waiting.project.folders()
    waiting.good("discard", newest.run_id)
    assert f"pytest --gump-resume={older.run_id}" in waiting.good("approve", "one", "--by", "Ada")
