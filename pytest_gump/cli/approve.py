"""`gump approve`: approve or reject the work of a step that waits for a person."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command
from pytest_gump.cli.runs import Unreadable, all_runs, find, is_named, locked, read_runs
from pytest_gump.engine.maintenance.approve import answer, check_answerable, refuse_agent
from pytest_gump.engine.record.approvals import Given
from pytest_gump.engine.reporting.approval_text import describe_question, person
from pytest_gump.errors import ConfigError, RunError
from pytest_gump.text import clean_text, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.approvals import Question
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.system.git.repository import Repository


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "approve",
        description="Approve the work of a step that waits for a person, or reject it with a reason. An approval "
        "applies to the files that the step has now: other files need another one. Afterwards, pytest --gump-resume "
        "continues the run.",
        examples="  gump approve                                approve the only step that waits\n"
        "  gump approve ship                           approve this step\n"
        "  gump approve 7f3a ship --by 'Ada Lovelace'  without a terminal, --by is required\n"
        "  gump approve ship --reject 'the API must stay as it is'",
        execute=execute,
        usage="gump approve [RUN] [STEP] [--reject WHY] [--by NAME]",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="RUN STEP",
        help="a run, a step that waits, or both (default: the newest run with a step that waits)",
    )
    parser.add_argument("--reject", metavar="WHY", help="reject the work; the next prompt contains the reason")
    parser.add_argument("--by", metavar="NAME", help="who answers (default: your name and email from git)")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    refuse_agent()
    text = _reason(arguments.reject)
    run, step = _run_and_step(arguments.names)
    with locked(run) as now:
        question = _question(now, step)
        check_answerable(now, question, now=time.time())
        _refuse_answered(now, question, approves=text is None)
        repository = now.repository()
        given = Given(approved=text is None, by=_who(arguments.by, repository, out), text=text or "")
        lines = describe_question(question, now.record, repository)
        with closing(now.ledger()) as ledger:
            answer(ledger, question, given)
    for line in lines[1:]:
        out.text(line)
    done = "approved" if given.approved else "rejected"
    out.line(f"{out.marks.passed} {done} {question.about} at {question.commit[:10]} as {given.by}", "green")
    out.line(f"{out.marks.arrow} pytest --gump-resume={now.id}  continues the run")
    return 0


def _reason(reject: str | None) -> str | None:
    if reject is not None and not clean_text(reject).strip():
        raise ConfigError("--reject needs a reason", hint="the prompt of the next attempt contains it")
    return reject


def _who(by: str | None, repository: Repository, out: Out) -> str:
    """Return who answers.

    Raises:
        RunError: There is no terminal or no name in git, and `--by` is missing.
    """
    if name := one_line(by or ""):
        return name
    if by is not None or not out.is_terminal:
        raise RunError("without a terminal, --by must name the person who answers", hint="gump approve --by NAME")
    if known := person(repository):
        return known
    raise RunError("git has no name and email for you", hint="set user.name and user.email, or use --by NAME")


def _run_and_step(names: Sequence[str]) -> tuple[StoredRun, str | None]:
    """Parse `[RUN] [STEP]`. A single name is a run if one matches, otherwise a step.

    Raises:
        ConfigError: There are too many names, or no run matches.
        RunError: No step of any run waits.
    """
    if len(names) > 2:
        raise ConfigError("gump approve takes at most a run and a step", hint="gump approve [RUN] [STEP]")
    if len(names) == 2:
        return find(names[0]), names[1]
    try:
        run = find(names[0]) if names else None
    except ConfigError:
        run = None
    if run is not None:
        return run, None
    return _newest_waiting(), names[0] if names else None


def _newest_waiting() -> StoredRun:
    """Return the newest run with a step that waits, if possible one that was neither applied nor discarded."""
    closed = None
    for run in read_runs(all_runs()):
        if isinstance(run, Unreadable) or not run.record.open_questions:
            continue
        if not run.record.discarded and run.record.applied is None:
            return run
        closed = closed or run
    if closed is None:
        raise RunError("no step waits for approval", hint="gump status lists the runs")
    return closed


def _question(run: StoredRun, step: str | None) -> Question:
    """Return the question about a step, or the only one.

    Raises:
        ConfigError: No step matches, or more than one.
        RunError: No step of the run waits.
    """
    questions = run.record.open_questions
    if not questions:
        raise RunError(f"no step of run {run.id} waits for approval", hint="gump status lists the runs")
    if step is None:
        wanted = run.record.unanswered or questions
    else:
        wanted = [question for question in questions if is_named(question.about, step)]
    if len(wanted) == 1:
        return wanted[0]
    waiting = ", ".join(question.about for question in wanted or questions)
    if wanted:
        raise ConfigError("several steps wait for approval", hint=f"name one: {waiting}")
    raise ConfigError(f"step {step!r} does not wait for approval", hint=f"these wait: {waiting}")


def _refuse_answered(run: StoredRun, question: Question, *, approves: bool) -> None:
    """Refuse an answer that is already recorded. A different answer replaces it.

    Raises:
        RunError: The step already has this answer.
    """
    known = run.record.approvals.answer_to(question)
    if known is not None and known.approved is approves:
        done = "approved" if approves else "rejected"
        raise RunError(
            f"{question.about} is already {done} by {known.by}", hint=f"pytest --gump-resume={run.id} continues the run"
        )
