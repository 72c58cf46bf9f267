"""Continues a previous run: resumes it in its folder, or starts a new run from one of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.attempt.workplace import remove_scratch, run_scratch
from pytest_gump.engine.resume.crash_recovery import recover_attempts
from pytest_gump.engine.resume.history import read_history
from pytest_gump.engine.resume.replay import replay
from pytest_gump.engine.resume.resumed_run import ResumedRun
from pytest_gump.engine.run.budget import limits_of, refusal
from pytest_gump.errors import RunError
from pytest_gump.jobs.previous_run import PreviousRun
from pytest_gump.session.start import this_process
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from contextlib import ExitStack
    from typing import Any

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.resume.replay import Replay
    from pytest_gump.engine.run.run import Run
    from pytest_gump.engine.schedule.resumable import ResumableSchedule
    from pytest_gump.jobs.prepare import PreparedJob
    from pytest_gump.session.start import RunContext
    from pytest_gump.workflow.model import Workflow
    from pytest_gump.workflow.path import StepPath


def replay_previous(prepared: PreparedJob, previous: PreviousRun) -> Replay:
    """Return which results a resumed run reuses and which steps it runs, without starting or writing anything.

    Raises:
        GumpError: The run cannot be resumed.
    """
    inputs, run = prepared.inputs, previous.run
    replayed = replay(read_history(run.events), inputs, run.record, prepared.repository, until=previous.step)
    if previous.step is None and not replayed.undecided:
        _refuse_spent(run.id, inputs.workflow, replayed.schedule, run.record)
    return replayed


def _refuse_spent(run_id: str, workflow: Workflow, schedule: ResumableSchedule, record: RunRecord) -> None:
    """Refuse a run in which no step can start, because budget, tokens or time are used up.

    Raises:
        RunError: No step can start.
    """
    reasons = []
    for ready in schedule.ready():
        limits = limits_of(workflow, ready.step, ready.path, record)
        reason = None if ready.agent is None else refusal(workflow, record, limits)
        if reason is None:
            return
        reasons.append(reason)
    if reasons:
        raise RunError(
            f"run {run_id} cannot continue: {reasons[0]}",
            hint="raise that limit in the workflow, or the run's max_budget with --gump-max-budget=USD",
        )


def resume(context: RunContext, previous: PreviousRun, owned: ExitStack, options: dict[str, Any]) -> Run:
    """Resume a run in its folder, with the same id.

    Raises:
        RunError: A file cannot be written, or another session has resumed the run.
    """
    prepared, tools, folder = context.prepared, context.tools, previous.run.folder
    owned.enter_context(folder.owned())
    folder.close_to_others()
    stored = previous.run.read_on()
    PreviousRun(stored).refuse()  # another session may have resumed it since
    replayed = prepared.replay if stored is previous.run else None
    history = read_history(stored.events) if replayed is None else replayed.history
    run = ResumedRun(
        prepared.inputs, folder, prepared.repository, CLOCK.now,
        pool=context.pool, record=stored.record, history=history,
    )  # fmt: skip
    recovered = recover_attempts(history, tools, base=prepared.base.commit, folder=folder)
    try:
        run.resume(stored.events, recovered, replayed, options=options, **this_process())
        remove_scratch(tools)
        run_scratch(tools)
        folder.keep_versions(prepared.inputs.copies)
    except OSError as error:
        raise RunError(f"cannot write {error.filename}: {error.strerror}") from error
    return run


def start_from(
    context: RunContext, previous: PreviousRun, step: StepPath, folder: RunFolder, header: dict[str, Any]
) -> Run:
    """Start a new run that reuses the results of the previous run up to a step."""
    prepared, origin = context.prepared, previous.run
    run = ResumedRun(prepared.inputs, folder, prepared.repository, CLOCK.now, pool=context.pool)
    run.start_from(read_history(origin.events), step, origin.id, header=header, **this_process())
    return run
