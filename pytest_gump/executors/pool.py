"""The controller's side of xdist workers.

xdist starts, watches and replaces the workers. Orders use a separate execnet channel.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.engine.attempt.workplace import attempt_folder, scratch_of
from pytest_gump.executors.order_runner import order_mark
from pytest_gump.executors.pool_worker import PoolWorker
from pytest_gump.executors.progress import usage_of
from pytest_gump.executors.protocol import Finished, Lost, WorkerFault
from pytest_gump.executors.remote_mirror import CheckoutLocation, pack_for
from pytest_gump.executors.transfer import Transfer, pieces
from pytest_gump.executors.worker import ARGUMENTS, CHANNEL, CHECKOUT, END, FILES
from pytest_gump.executors.xdist_session import XdistSession
from pytest_gump.jobs.arguments import portable_arguments
from pytest_gump.jobs.files import project_root
from pytest_gump.order import AttemptResult, from_wire, to_wire
from pytest_gump.system.git.repository import Repository
from pytest_gump.system.processes.process_table import marked
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.executors.run_setup import RunSetup
    from pytest_gump.order import Order

OURS: Final = "gump"
"""Name of the events in xdist's queue that carry messages of our channel."""
LEAVING: Final = frozenset({"errordown", "workerfinished", "internal_error"})
RELEASE_S: Final = 8.0
"""Longest time for the supervisor of a lost worker to end the agent's processes."""
LEAVE_S: Final = 10.0
"""Longest time for all workers to end."""
KILL_S: Final = 0.5
"""Longest time for a worker to end the process of one order."""
HURRY_S: Final = 0.5
"""Like `LEAVE_S`, for a session that was interrupted."""


@dataclass(frozen=True, slots=True)
class _LostOrder:
    """A lost order whose processes may still be running."""

    arrival: Lost
    marks: tuple[str, ...]
    deadline: float


class WorkerPool:
    """The executor of a session with xdist workers, registered as a pytest plugin by the conductor."""

    def __init__(self, config: pytest.Config, arguments: Sequence[str]) -> None:
        self._config = config
        self.files: list[Path] = []
        """Specs and workflow files, which no worker collects."""
        self._arguments = [*arguments]
        """Arguments of the command line that the workers collect: ordinary tests."""
        self.xdist = XdistSession(config, has_tests=bool(arguments))
        self._workers: dict[Any, PoolWorker] = {}
        self._most = 1
        """Most orders that all workers together carry out at once. Every worker may still have at least one."""
        self._orders: dict[int, Order] = {}
        self._killed: dict[int, float] = {}
        """Time by which the worker of each killed order must have ended it, by ticket."""
        self._last_in: dict[str, PoolWorker] = {}
        """The last worker that worked in each slot. It has the slot's state in memory, and the agent's conversation."""
        self._run_setups: dict[str, RunSetup] = {}
        self._listen: Callable[[int, AttemptEvent], None] | None = None
        self._arrived: list[Finished | Lost] = []
        self._lost_orders: list[_LostOrder] = []
        self._is_ending = False
        self._repositories: dict[str, Repository] = {}

    # -- start and end of workers --------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionstart(self) -> Generator[None, object, object]:
        with portable_arguments(self._config):
            return (yield)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        channel = node.gateway.newchannel()
        node.workerinput[CHANNEL] = channel
        node.workerinput[ARGUMENTS] = self._arguments
        node.workerinput[FILES] = [os.path.relpath(file, self._config.invocation_params.dir) for file in self.files]
        node.workerinput[CHECKOUT] = asdict(CheckoutLocation.at(project_root(self._config)))
        self._workers[node] = PoolWorker(node, channel)
        queue = self.xdist.queue
        channel.setcallback(lambda message: queue.put((OURS, {"node": node, "message": message})))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Replace xdist's own loop. At exit, all workers have ended."""
        self.xdist.begin()
        patience_s = LEAVE_S
        try:
            yield
        except KeyboardInterrupt:
            patience_s = HURRY_S
            raise
        finally:
            self._leave(patience_s)

    def run_tests(self, session: pytest.Session) -> None:
        """Run the ordinary tests. Return when all have run, or when the session must stop."""
        scheduler = self.xdist.scheduler
        while not scheduler.is_over:
            self._listen_to_workers(time.monotonic() + 0.2)
            session.shouldstop = session.shouldstop or self.xdist.should_stop
            scheduler.look()
            if session.shouldstop or session.shouldfail:
                scheduler.shut_down()
            if all(worker.pid is not None for worker in self._workers.values()):
                scheduler.give_up()
        scheduler.shut_down()

    def _leave(self, timeout_s: float) -> None:
        """Let every worker end, and handle its last messages. Kill those that are not done after `timeout_s`."""
        self._is_ending = True
        for worker in self._workers.values():
            worker.send(*END)
        deadline = time.monotonic() + timeout_s
        while self._workers and time.monotonic() < deadline:
            self._listen_to_workers(deadline)
        for worker in self._workers.values():
            worker.kill()

    # -- orders --------------------------------------------------------------------------------------------------

    def set_up(self, run_setups: Sequence[RunSetup], listen: Callable[[int, AttemptEvent], None], *, most: int) -> None:
        """Send workers the setup of the runs.

        Args:
            run_setups: The setups of all runs of the session.
            listen: Called with the events of running attempts.
            most: Most orders that are carried out at once.
        """
        self._most = most
        self._run_setups = {run_setup.run_id: run_setup for run_setup in run_setups}
        self._listen = listen
        for worker in self._workers.values():
            self._prepare(worker)

    def _prepare(self, worker: PoolWorker) -> None:
        """Set up an idle worker for all runs, so that its first order starts without delay."""
        if worker.pid is None or not worker.shares_disk:
            return
        for run_setup in self._run_setups.values():
            if run_setup.run_id not in worker.known:
                worker.known.add(run_setup.run_id)
                worker.send("set_up", asdict(run_setup))

    @property
    def free(self) -> int:
        running = sum(len(worker.tickets) for worker in self._workers.values())
        room = sum(worker.room(self._share) for worker in self._workers.values())
        return max(0, min(room, max(self._most, len(self._workers)) - running))

    @property
    def _share(self) -> int:
        """Most orders that one worker carries out at once: an equal share, counting workers that are still starting."""
        return max(1, math.ceil(self._most / max(1, len(self._workers))))

    @property
    def gone(self) -> str | None:
        return None if self._workers else "no worker is left: they crashed, and no more are started"

    def start(self, ticket: int, order: Order) -> None:
        worker = self._worker_for(order)
        worker.tickets.add(ticket)
        self._orders[ticket] = order
        run_setup = None if order.run_id in worker.known else asdict(self._run_setups[order.run_id])
        worker.known.add(order.run_id)
        if worker.shares_disk:
            self._last_in[order.slot] = worker
            worker.send("order", ticket, to_wire(order), run_setup)
        else:
            self._send_remote(worker, ticket, order, run_setup)

    def _worker_for(self, order: Order) -> PoolWorker:
        """Return the last worker that worked in the slot; if it is not free, the free worker with the fewest orders."""
        fit = [worker for worker in self._workers.values() if worker.room(self._share)]
        last = self._last_in.get(order.slot if order.session is None else order.session.slot)
        return last if last in fit else min(fit, key=lambda worker: len(worker.tickets))

    def _send_remote(self, worker: PoolWorker, ticket: int, order: Order, run_setup: dict[str, Any] | None) -> None:
        own = self._run_setups[order.run_id]
        cassette = own.settings["record"]
        scratch = scratch_of(Path(own.scratch), ticket)
        worker.transfers[ticket] = Transfer(scratch, None if cassette is None else Path(cassette))
        pack, commits = pack_for(self._repository(own.project), order, worker.commits)
        worker.commits.update(commits)
        for piece in pieces(pack):
            worker.send("pack", ticket, piece)
        worker.send("order", ticket, to_wire(order), run_setup, commits)

    def _repository(self, project: str) -> Repository:
        if project not in self._repositories:
            self._repositories[project] = Repository.open(Path(project))
        return self._repositories[project]

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        if not self._arrived:
            self._listen_to_workers(time.monotonic() + timeout_s)
        self._give_up_silent()
        self._release_lost()
        arrived, self._arrived = self._arrived, []
        return arrived

    def cancel(self, ticket: int, reason: str) -> None:  # noqa: ARG002 - the reason in the result is `interrupted`
        if worker := self._worker_with(ticket):
            worker.liveness.expect_answer()
            worker.send("cancel", ticket)

    def spend_no_more(self, ticket: int, reason: str) -> None:
        if worker := self._worker_with(ticket):
            worker.send("spent", ticket, reason)

    def kill(self, ticket: int) -> None:
        self._is_ending = True
        if worker := self._worker_with(ticket):
            self._killed[ticket] = time.monotonic() + KILL_S * worker.carries_out_several
            worker.send("kill", ticket)

    def _worker_with(self, ticket: int) -> PoolWorker | None:
        return next((worker for worker in self._workers.values() if ticket in worker.tickets), None)

    # -- events --------------------------------------------------------------------------------------------------

    def _listen_to_workers(self, deadline: float) -> None:
        """Wait for the next event until the deadline. Handle it and all events that are already queued."""
        timeout_s = max(0.0, deadline - time.monotonic())
        with suppress(Empty):
            with CLOCK.waiting(timeout_s):
                event = self.xdist.queue.get(timeout=timeout_s)
            self._take(*event)
            while True:
                self._take(*self.xdist.queue.get_nowait())

    def _take(self, event: str, about: dict[str, Any]) -> None:
        worker = self._workers.get(about.get("node"))
        if event == OURS:
            if worker is not None:
                self._on_message(worker, *about["message"])
            return
        if worker is not None and event in LEAVING:
            self._lose_worker(worker, str(about.get("error") or event))
        elif event in LEAVING:  # the worker has already been removed, after an internal error
            return
        if event in LEAVING and self._is_ending:
            self.xdist.end_worker(about["node"], about.get("error"))
            return
        self.xdist.handle(event, about, self._forget_not_started)

    def _forget_not_started(self) -> None:
        for worker in [*self._workers.values()]:
            if worker.pid is None and worker.channel.isclosed():
                del self._workers[worker.node]

    def _give_up_silent(self) -> None:
        """Kill workers that are suspended or whose connection is dead. Call it after handling all their events."""
        for worker in self._workers.values():
            if worker.pid is not None and worker.liveness.should_end() and not worker.is_given_up:
                worker.give_up()
        now = time.monotonic()
        for ticket, deadline in self._killed.items():
            if now >= deadline and (slow := self._worker_with(ticket)):
                slow.kill()

    def _on_message(self, worker: PoolWorker, kind: str, *fields: Any) -> None:
        worker.liveness.note_sign()
        match kind, *fields:
            case "ready", int(pid), bool(shares_disk), bool(several):
                worker.pid, worker.shares_disk, worker.carries_out_several = pid, shares_disk, several
                self._prepare(worker)
            case "part", int(ticket), str(kind), piece if ticket in worker.transfers:
                worker.transfers[ticket].add(kind, piece)
            case "live", int(ticket), int(turns), usage:
                self._send_event(ticket, Turn(turns))
                if usage is not None:
                    self._send_event(ticket, UsageSeen(usage_of(usage)))
            case "tool", int(ticket), str(tool), path, command:
                self._send_event(ticket, ToolCall(tool, path, command))
            case "gate", int(ticket), str(name):
                self._send_event(ticket, GateStarted(name))
            case "result", int(ticket), dict(result):
                self._finish(worker, ticket, self._getter_of(worker, ticket, result))
            case "error", int(ticket), str(text):
                self._finish(worker, ticket, partial(_raise, text))
            case "lost", int(ticket), str(why):
                self._lose(worker, ticket, f"a process of worker {worker.name}", why)

    def _send_event(self, ticket: int, event: AttemptEvent) -> None:
        if self._listen is not None and ticket in self._orders:
            self._listen(ticket, event)

    def _getter_of(self, worker: PoolWorker, ticket: int, wire: dict[str, Any]) -> Callable[[], AttemptResult]:
        read = partial(from_wire, AttemptResult, wire)
        transfer, order = worker.transfers.get(ticket), self._orders[ticket]
        if transfer is None:
            return read
        repository = self._repository(self._run_setups[order.run_id].project)
        result = read()
        if result.session is not None:
            self._last_in[result.session.slot] = worker
        return partial(transfer.unpack, order, result, repository)

    def _finish(self, worker: PoolWorker, ticket: int, get_result: Callable[[], AttemptResult]) -> None:
        self._forget(worker, ticket)
        self._arrived.append(Finished(ticket, get_result))

    def _forget(self, worker: PoolWorker, ticket: int) -> Order:
        worker.tickets.remove(ticket)
        worker.transfers.pop(ticket, None)
        self._killed.pop(ticket, None)
        return self._orders.pop(ticket)

    def _lose_worker(self, worker: PoolWorker, error: str) -> None:
        del self._workers[worker.node]
        silent = f"no sign of life for {worker.liveness.silent_s:.0f} s"
        for ticket in [*worker.tickets]:
            self._lose(worker, ticket, f"worker {worker.name}", silent if worker.is_given_up else error.lower())

    def _lose(self, worker: PoolWorker, ticket: int, what: str, error: str) -> None:
        order = self._forget(worker, ticket)
        scratch = Path(self._run_setups[order.run_id].scratch)
        folder = attempt_folder(scratch, ticket)
        why = f"{what} was lost while it worked on the step ({error})"
        of_agent = () if folder is None else (f"{order.run_id}-{folder.name}",)
        marks = (order_mark(order.run_id, ticket), *of_agent) if worker.shares_disk else ()
        lost = Lost(ticket, why, is_away=not worker.shares_disk)
        self._lost_orders.append(_LostOrder(lost, marks, time.monotonic() + RELEASE_S))

    def _release_lost(self) -> None:
        """Report lost orders when their processes have ended, because the retry may get the same worktree."""
        for lost in [*self._lost_orders]:
            lives = any(map(marked, lost.marks))
            if not lives or time.monotonic() > lost.deadline:
                self._lost_orders.remove(lost)
                self._arrived.append(replace(lost.arrival, processes_ended=not lives))


def _raise(text: str) -> AttemptResult:
    raise WorkerFault(text)
