"""Starts and ends a run: its folder, ledger, branch and worktrees."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from pytest_gump.engine.attempt.attempt import execute
from pytest_gump.engine.attempt.judge import REASON_CHARS
from pytest_gump.engine.attempt.tools import Tools
from pytest_gump.engine.attempt.workplace import fresh_scratch, remove_scratch, run_scratch
from pytest_gump.engine.record.run_folder import RunFolder
from pytest_gump.engine.run.run import Run
from pytest_gump.errors import GumpError, RunError, WorktreeError
from pytest_gump.gates.tools.interpreter import Interpreter
from pytest_gump.system.git.checkout_watch import checkout_state
from pytest_gump.system.processes.process import Supervisor
from pytest_gump.system.processes.session_clock import CLOCK
from pytest_gump.system.worktrees.pool import SlotPool
from pytest_gump.system.worktrees.slots import Slots
from pytest_gump.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.executors.run_setup import RunSetup
    from pytest_gump.jobs.prepare import PreparedJob
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.system.git.checkout_watch import CheckoutState

    OpenRun = Callable[["RunContext", ExitStack], Run]
    """Opens the folder of a run and records its start. The stack closes the resources of the run."""


class RunContext(NamedTuple):
    """Everything that this process needs to carry out the orders of one run."""

    prepared: PreparedJob
    tools: Tools
    pool: SlotPool

    @classmethod
    def from_job(cls, prepared: PreparedJob, supervisor: Supervisor, slots: Slots, pool: SlotPool) -> RunContext:
        tools = Tools(
            repository=prepared.repository,
            slots=slots,
            supervisor=supervisor,
            agents=prepared.job.agent,
            gates=prepared.job.gates,
            settings=prepared.settings,
            scratch=slots.root / f"{prepared.inputs.run_id}.scratch",
            interpreter=Interpreter.now(command for _, command in prepared.inputs.commands),
        )
        return cls(prepared, tools, pool)

    @property
    def location_note(self) -> str | None:
        """A note if the worktrees are inside the checkout; otherwise None."""
        checkout = os.path.realpath(self.prepared.repository.root)
        root = self.tools.slots.root
        inside = Path(os.path.realpath(root)).is_relative_to(checkout)
        return f"note: worktrees are inside the checkout: {os.path.relpath(root, checkout)}" if inside else None

    def run_setup(self, *, shows_tools: bool) -> RunSetup:
        """Return the data that workers need to carry out orders of the run."""
        from pytest_gump.executors.run_setup import RunSetup  # used with workers only; imports the code of remote ones

        return RunSetup.from_job(self.prepared.inputs.run_id, self.prepared.job, self.tools, shows_tools=shows_tools)

    def carry_out(
        self, ticket: int, order: Order, listen: Callable[[AttemptEvent], None], stop_asked: Callable[[], str | None]
    ) -> AttemptResult:
        """Carry out an order in this process."""
        scratch = fresh_scratch(self.tools, ticket)
        return execute(order, replace(self.tools, scratch=scratch, listen=listen, stop_asked=stop_asked))


@contextmanager
def start(
    prepared: PreparedJob, open_run: OpenRun, finished: Callable[[], None], *, is_here: bool
) -> Iterator[tuple[Run, RunContext]]:
    """Start a run, and end it when the block ends. Its worktrees stay for the next run.

    After Ctrl-C or an error, the ledger is closed with `cancelled`, and the exception is raised again.

    Args:
        prepared: The job, ready to run.
        open_run: Opens the folder and records the start.
        finished: Called after the last event.
        is_here: True if this process carries out the orders.
    """
    settings, repository = prepared.settings, prepared.repository
    root = Slots.default_root(repository, settings.worktrees)
    slots = Slots(repository, root, keep=settings.keep_ignored)
    supervised = Supervisor() if is_here else closing(Supervisor())  # the second form starts on first use
    with supervised as supervisor, closing(SlotPool(slots)) as pool, ExitStack() as owned:
        context = RunContext.from_job(prepared, supervisor, slots, pool)
        run = open_run(context, owned)
        checkout = checkout_state(repository, prepared.status)
        try:
            yield run, context
        except BaseException as error:
            changed = _changed_in_checkout(prepared, checkout)
            run.finish(cancelled=True, reason=_interruption(error), checkout_changed=changed)
            raise
        else:
            run.finish(checkout_changed=_changed_in_checkout(prepared, checkout))
        finally:
            remove_scratch(context.tools)
            finished()


def create_run(context: RunContext, owned: ExitStack, begin: Callable[[RunFolder], Run]) -> Run:
    """Create the run's folder, ledger, branch and scratch folder: either all of them or none.

    The folder is locked until `owned` is closed. `begin` writes the first event.

    Raises:
        GumpError: A file cannot be written.
    """
    folder = RunFolder.create(context.prepared.repository.root, context.prepared.inputs.run_id)
    try:
        owned.enter_context(folder.owned())
        run_scratch(context.tools)
        return begin(folder)
    except BaseException as error:
        remove_scratch(context.tools)
        shutil.rmtree(folder.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise RunError(f"cannot write {error.filename}: {error.strerror}") from error
        raise


def begin_run(context: RunContext, folder: RunFolder, header: dict[str, Any]) -> Run:
    """Write the first event of a new run."""
    prepared = context.prepared
    run = Run(prepared.inputs, folder, prepared.repository, CLOCK.now, pool=context.pool)
    run.start(header=header, **this_process())
    return run


def this_process() -> dict[str, Any]:
    """Return the pid and start time of this process, so that other processes can check whether the run is alive."""
    process = psutil.Process()
    return {"pid": process.pid, "pid_created": process.create_time()}


def _changed_in_checkout(prepared: PreparedJob, before: CheckoutState) -> list[str]:
    """Return the files that changed in the user's checkout. A change is reported, but the run does not fail."""
    record, root = prepared.settings.record, prepared.repository.root
    ours = record and os.path.relpath(record, root)
    try:
        changed = before.changed(checkout_state(prepared.repository))
    except WorktreeError as error:
        return [str(error.args[0])]
    found = {name: how for name, how in changed.items() if not (ours and name.startswith(f"{ours}/"))}
    return [name if how == "changed" else f"{name} ({how})" for name, how in found.items()]


def _interruption(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, BrokenPipeError):
        return "stopped: the output was closed"
    if isinstance(error, GumpError):
        return f"stopped: {one_line(str(error.args[0]), REASON_CHARS)}"
    return f"stopped: {str(error) or type(error).__name__}"
