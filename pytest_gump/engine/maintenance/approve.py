"""`gump approve`: record a person's answer about an attempt that waits for it.

This guards against mistakes. It is not a wall: without a sandbox, an agent can write every file of the user.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pytest_gump.errors import RunError
from pytest_gump.system.processes.process_table import MARK, mark_of, processes, read_process
from pytest_gump.text import listed
from pytest_gump.units import clock_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.record.approvals import Given, Question
    from pytest_gump.engine.record.ledger import Ledger
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.stored_run import StoredRun


def refuse_agent() -> None:
    """Refuse a command of an agent: this process, or one above it, has the mark of an attempt.

    Raises:
        RunError: An attempt has started the command.
    """
    mark, pid = os.environ.get(MARK, ""), os.getppid()
    while not mark and pid > 1 and (process := read_process(pid)) is not None:
        mark, pid = mark_of(pid), process.parent
    if mark:
        raise RunError("an attempt cannot approve its own work", hint="a person must run gump approve")


def open_questions(run: StoredRun) -> list[Question]:
    """Return the questions of attempts that wait for a person, also those that have an answer already."""
    record = run.record
    waiting = [attempt for attempt in record.attempts if attempt.verdict == "awaiting" and not attempt.superseded]
    questions = (record.approvals.questions.get(attempt.number) for attempt in waiting)
    return [question for question in questions if question is not None]


def check_answerable(run: StoredRun, question: Question, *, now: float) -> None:
    """Check that the answer of a person can still decide about an attempt.

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
            f"{question.step}: the time for an answer ended at {when}",
            hint="pytest --gump-resume continues the run with a rejection",
        )


def answer(ledger: Ledger, question: Question, given: Given) -> None:
    """Record the answer. The next session of the run applies it."""
    ledger.append("approval", **given.about(question))


def approval_lines(record: RunRecord) -> list[str]:
    """Return a line for each approval that the result of the run rests on: step, person and time."""
    lines = []
    for step in record.steps.values():
        attempt = step.newest_valid if step.status == "passed" else None
        questions = (record.approvals.questions.get(other.number) for other in step.attempts if not other.superseded)
        asked = [question for question in questions if question is not None and attempt is not None]
        answer = record.approvals.answer_to(asked[-1]) if asked else None
        if answer is not None and answer.approved:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer.at))
            lines.append(f"{step.path} by {answer.by} on {when}")
    return lines


def _living(run_id: str) -> Iterator[int]:
    return (pid for pid in processes() if mark_of(pid).startswith(f"{run_id}-"))
