"""Starting a run that has a past: it goes on in its own folder, or a new one begins from a step of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.attempt.recovery import remove_scratch, run_scratch
from pytest_gump.engine.record.fold import fold
from pytest_gump.engine.record.ledger import read_ledger
from pytest_gump.engine.resume.crash_recovery import look_around
from pytest_gump.engine.resume.history import read_history
from pytest_gump.engine.resume.resumed_run import ResumedRun
from pytest_gump.engine.resume.reuse import take_up
from pytest_gump.engine.run.budget import allowance, is_limited, refusal
from pytest_gump.engine.run.order_builder import OrderBuilder
from pytest_gump.errors import RunError, WorktreeError
from pytest_gump.jobs.base import Base
from pytest_gump.jobs.files import project_root
from pytest_gump.jobs.session_settings import session_settings
from pytest_gump.session.start import Launch, fresh_run_id, this_process
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from contextlib import ExitStack

    import pytest

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.run_folder import RunFolder
    from pytest_gump.engine.resume.history import HistoryAttempt
    from pytest_gump.engine.resume.reuse import Reuse
    from pytest_gump.engine.run.run import Run
    from pytest_gump.engine.schedule.resumable import ResumableSchedule
    from pytest_gump.engine.schedule.schedule import Ready
    from pytest_gump.jobs.job import Job
    from pytest_gump.jobs.previous_run import PreviousRun
    from pytest_gump.system.worktrees.pool import SlotPool
    from pytest_gump.workflow.model import Workflow


def prepare(config: pytest.Config, job: Job) -> Launch:
    """Check everything that could refuse the run of a job.

    Raises:
        GumpError: something does; nothing was written but git objects.
    """
    kind = Launch if job.previous is None else Resumption if job.previous.step is None else Continuation
    return kind.prepare(config, job)


def foresee(config: pytest.Config, job: Job) -> tuple[ResumableSchedule, Reuse]:
    """What would become of the run that a job goes on with. Starts nothing and writes nothing.

    Raises:
        GumpError: the run cannot go on.
    """
    previous = job.previous
    assert previous is not None  # noqa: S101 - that makes it one with a past
    repository = Repository.open(project_root(config))
    settings = session_settings(config, repository.root)
    base, run_id = _base_of(previous, repository), previous.folder.run_id
    launch = Launch(config, job, repository=repository, base=base, settings=settings, run_id=run_id)
    record = fold(events := [*read_ledger(previous.folder.ledger)])

    def reuse(one: HistoryAttempt) -> None:
        record.attempts[one.number - 1].superseded = False

    identify, past = OrderBuilder(launch.inputs, record, repository).identify, read_history(events)
    until = previous.step
    schedule, taken = take_up(past, launch.inputs, record, repository, identify=identify, reuse=reuse, until=until)
    if until is None and not taken.at_hand:
        _refuse_spent(run_id, job.workflow, schedule, record)
    return schedule, taken


def _refuse_spent(run_id: str, workflow: Workflow, schedule: ResumableSchedule, record: RunRecord) -> None:
    """Refuse a run of which nothing could start, as its money, tokens or time are used up.

    Raises:
        RunError: it is one.
    """

    def why(ready: Ready) -> str | None:
        if ready.agent is None:
            return None
        allowed = allowance(workflow, ready.step, ready.path, record)
        return refusal(workflow, record, allowed)

    reasons = [why(ready) for ready in schedule.ready()]
    if reasons and None not in reasons:
        raise RunError(
            f"run {run_id} cannot go on: {reasons[0]}",
            hint="raise that limit in the workflow; for the run's max_budget, --gump-max-budget=USD does it too",
        )


class _Resume(Launch):
    @property
    def previous(self) -> PreviousRun:
        assert self._job.previous is not None  # noqa: S101 - chosen for that
        return self._job.previous


def _base_of(previous: PreviousRun, repository: Repository) -> Base:
    """What the previous run started from.

    Raises:
        RunError: its commit is gone.
    """
    header = previous.header
    base = str(header.get("base"))
    try:
        repository.tree_of(base)
    except WorktreeError as error:
        message = f"run {previous.folder.run_id} cannot go on: its base {base[:10]} is gone from the repository"
        raise RunError(message, hint="start a new run") from error
    return Base(base, str(header.get("base_ref", "")), header.get("dirty_base"))


class Resumption(_Resume):
    """The run goes on in its own folder, under its own id."""

    @classmethod
    def _beginning(cls, config: pytest.Config, job: Job, repository: Repository) -> tuple[str, Base]:
        assert job.previous is not None  # noqa: S101 - chosen for that
        run_id = job.previous.folder.run_id
        if is_limited(job.workflow):
            foresee(config, job)
        return run_id, _base_of(job.previous, repository)

    def _open(self, tools: Tools, pool: SlotPool, owned: ExitStack) -> Run:
        folder = self.previous.folder
        owned.enter_context(folder.owned())
        folder.close_to_others()
        type(self.previous).read(folder).refuse()  # another session may have taken it up since
        run = ResumedRun(self.inputs, folder, self._repository, CLOCK.now, pool=pool)
        past = run.read()
        found = look_around(past, tools, run_id=self._run_id, base=self._base.commit, folder=folder)
        try:
            run.resume(past, found, options=self._options(), **this_process())
            remove_scratch(tools)
            run_scratch(tools)
            folder.keep_versions(workflow=self.inputs.workflow_text, spec=self.inputs.spec_bytes)
        except OSError as error:
            raise RunError(f"cannot write {error.filename}: {error.strerror}") from error
        return run


class Continuation(_Resume):
    """A new run that takes over what the previous one did before a step."""

    @classmethod
    def _beginning(cls, config: pytest.Config, job: Job, repository: Repository) -> tuple[str, Base]:  # noqa: ARG003
        assert job.previous is not None  # noqa: S101 - chosen for that
        return fresh_run_id(job), _base_of(job.previous, repository)

    def _begin(self, folder: RunFolder, pool: SlotPool) -> Run:
        step, origin = self.previous.step, self.previous.folder
        assert step is not None  # noqa: S101 - that makes it a continuation
        run = ResumedRun(self.inputs, folder, self._repository, CLOCK.now, pool=pool)
        past = read_history(read_ledger(origin.ledger))
        run.start_from(past, step, origin.run_id, header=self._header(), **this_process())
        return run
