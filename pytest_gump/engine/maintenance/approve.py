"""`gump approve`: record a person's answer about an attempt that waits for it.

This protects against mistakes only: without a sandbox, an agent can write every file of the user.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pytest_gump.errors import RunError
from pytest_gump.system.processes.process_table import MARK, inherited_mark, mark_of, processes
from pytest_gump.text import listed
from pytest_gump.units import clock_text
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.record.approvals import Given, Question
    from pytest_gump.engine.record.ledger import Ledger
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.stored_run import StoredRun


def refuse_agent(does: str = "approve its own work", command: str = "gump approve") -> None:
    """Refuse a command of an agent: this process, or one above it, has the mark of an attempt.

    Raises:
        RunError: An attempt has started the command.
    """
    if os.environ.get(MARK) or inherited_mark(os.getpid()):
        raise RunError(f"an attempt cannot {does}", hint=f"a person must run {command}")


def check_answerable(run: StoredRun, question: Question, *, now: float) -> None:
    """Check that a person can still answer about an attempt.

    Raises:
        RunError: The run is running, has been applied or discarded, or the time for an answer is over.
    """
    record, name = run.record, f"run {run.id}"
    run.refuse_running(hint="answer in its terminal, or wait until it ends")
    if record.discarded or record.applied is not None:
        raise RunError(f"{name} was {'discarded' if record.discarded else 'applied'}", hint="start a new run")
    if living := sorted(_living(run.id)):
        raise RunError(
            f"processes of an attempt of {name} are still running: {listed([*map(str, living)])}",
            hint="wait until they end, or end them",
        )
    if question.expires is not None and now >= question.expires:
        when = clock_text(question.expires, now)
        raise RunError(
            f"{question.about}: the time for an answer ended at {when}",
            hint="pytest --gump-resume continues the run with a rejection",
        )


def answer(ledger: Ledger, question: Question, given: Given) -> None:
    """Record the answer. The next session of the run applies it."""
    ledger.append("approval", **given.about(question))


def approval_lines(record: RunRecord) -> list[str]:
    """Return a line for each approval that the result of the run depends on: step, person and time."""
    lines = []
    for step in record.steps.values():
        given = [attempt.approval for attempt in step.attempts if attempt.approval and not attempt.superseded]
        if given and step.status == "passed":
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(given[-1]["at"]))
            lines.append(f"{StepPath.parse(step.path).checked or step.path} by {given[-1]['by']} on {when}")
    return lines


def not_approved(record: RunRecord) -> dict[str, str]:
    """Return the steps that a person was asked about and has not approved, each with the reason."""
    newest = {question.about: question for question in record.approvals.questions.values()}
    found = {}
    for about, question in newest.items():
        answer, step = record.approvals.answer_to(question), record.steps.get(about)
        if step is not None and step.status != "passed" and (answer is None or not answer.approved):
            found[about] = step.reason if answer is None else f"rejected by {answer.by}: {answer.text}"
    return found


def _living(run_id: str) -> Iterator[int]:
    return (pid for pid in processes() if mark_of(pid).startswith(f"{run_id}-"))
