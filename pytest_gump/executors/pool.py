"""The controller's side of workers: xdist starts, watches and replaces them; orders use a channel of their own."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.engine.attempt.workplace import attempt_folder, scratch_of
from pytest_gump.executors.progress import usage_of
from pytest_gump.executors.protocol import Finished, Lost, WorkerFault
from pytest_gump.executors.remote_mirror import CheckoutLocation, pack_for
from pytest_gump.executors.transfer import Transfer, pieces
from pytest_gump.executors.worker import ARGUMENTS, BEAT_S, CHANNEL, CHECKOUT, END, FILES
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
"""The event under which messages of our channel come through xdist's queue."""
LEAVING: Final = frozenset({"errordown", "workerfinished", "internal_error"})
RELEASE_S: Final = 8.0
"""How long the supervisor of a lost worker may take to end the agent's processes."""
LEAVE_S: Final = 10.0
SILENT_S: Final = 15 * BEAT_S
"""A worker that gives no sign of life for so long is given up: nobody watches its agent."""
MUTE_S: Final = 3 * BEAT_S
"""After so long it gets no order."""
ANSWER_S: Final = 2.0
"""How long a worker may take to answer a request to stop."""
LOOK_S: Final = 1.0
"""How much of the time between two looks counts: this process may have been stopped too, with all others."""
HURRY_S: Final = 0.5
"""When the session was interrupted."""


@dataclass(slots=True, eq=False)
class _Worker:
    node: Any
    channel: Any
    pid: int | None = None
    """None until it takes orders."""
    ticket: int | None = None
    slot: str | None = None
    """The worktree that it worked in last: it knows in which state it is."""
    known: set[str] = field(default_factory=set)
    """Runs whose setup it has."""
    shares_disk: bool = True
    commits: set[str] = field(default_factory=set)
    """What was sent to it, where it does not."""
    transfer: Transfer | None = None
    """What has come of a result so far, where it does not."""
    silent_s: float = 0.0
    asked_at: float | None = None
    """Since when an answer is due that needs no work."""
    is_given_up: bool = False

    @property
    def is_idle(self) -> bool:
        return self.pid is not None and self.ticket is None and self.silent_s < MUTE_S

    def send(self, *message: Any) -> None:
        with suppress(OSError):  # it is gone, and xdist will report that
            self.channel.send(message)

    def kill(self) -> None:
        if self.pid is None:
            return
        if self.shares_disk:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        else:
            self.channel.close()  # its end tells the worker to stop; its process id means nothing here

    def give_up(self) -> None:
        """End a worker that does not answer, as if it had crashed: xdist will say so."""
        self.is_given_up = True
        self.kill()
        if not self.shares_disk:
            with suppress(AttributeError, OSError):  # the end of its connection: not all kinds have one to kill
                self.node.gateway._io.kill()  # noqa: SLF001 - its own end waits for the worker


@dataclass(frozen=True, slots=True)
class _LostOrder:
    """A lost order, until nothing lives of what it had started."""

    arrival: Lost
    mark: str
    deadline: float


class WorkerPool:
    """Registered with the conductor where the session has xdist workers."""

    def __init__(self, config: pytest.Config, arguments: Sequence[str]) -> None:
        self._config = config
        self.files: list[Path] = []
        """Specs and workflow files, which no worker collects."""
        self._arguments = [*arguments]
        """What of the command line the workers collect: ordinary tests."""
        self.xdist = XdistSession(config, has_tests=bool(arguments))
        self._workers: dict[Any, _Worker] = {}
        self._orders: dict[int, Order] = {}
        self._run_setups: dict[str, RunSetup] = {}
        self._listen: Callable[[int, AttemptEvent], None] | None = None
        self._arrived: list[Finished | Lost] = []
        self._lost_orders: list[_LostOrder] = []
        self._is_ending = False
        self._looked = time.monotonic()
        self._repositories: dict[str, Repository] = {}

    # -- xdist's life of a worker --------------------------------------------------------------------------------

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
        self._workers[node] = _Worker(node, channel)
        queue = self.xdist.queue
        channel.setcallback(lambda message: queue.put((OURS, {"node": node, "message": message})))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Take xdist's place in its own loop; when this ends, every worker has."""
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
        """Stay until every ordinary test has run, or the session is to stop."""
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
        """Let every worker end, and hear what it has to say at its end."""
        self._is_ending = True
        for worker in self._workers.values():
            worker.send(*END)
        deadline = time.monotonic() + timeout_s
        while self._workers and time.monotonic() < deadline:
            self._listen_to_workers(deadline)
        for worker in self._workers.values():
            worker.kill()

    # -- orders --------------------------------------------------------------------------------------------------

    def set_up(self, run_setups: Sequence[RunSetup], listen: Callable[[int, AttemptEvent], None]) -> None:
        """Send workers the setup of the runs; `listen` gets the events of their attempts."""
        self._run_setups = {run_setup.run_id: run_setup for run_setup in run_setups}
        self._listen = listen
        for worker in self._workers.values():
            self._prepare(worker)

    def _prepare(self, worker: _Worker) -> None:
        """Set up an idle worker for all runs, so that its first order need not wait."""
        if worker.pid is None or not worker.shares_disk:
            return
        for run_setup in self._run_setups.values():
            if run_setup.run_id not in worker.known:
                worker.known.add(run_setup.run_id)
                worker.send("set_up", asdict(run_setup))

    @property
    def free(self) -> int:
        return sum(worker.is_idle for worker in self._workers.values())

    @property
    def gone(self) -> str | None:
        return None if self._workers else "no worker is left: they crashed, and no more are started"

    def start(self, ticket: int, order: Order) -> None:
        idle = [worker for worker in self._workers.values() if worker.is_idle]
        wanted = order.slot if order.session is None else order.session.slot
        worker = next((worker for worker in idle if worker.slot == wanted), idle[0])
        worker.ticket = ticket
        self._orders[ticket] = order
        run_setup = None if order.run_id in worker.known else asdict(self._run_setups[order.run_id])
        worker.known.add(order.run_id)
        if worker.shares_disk:
            worker.slot = order.slot
            worker.send("order", ticket, to_wire(order), run_setup)
        else:
            self._send_remote(worker, ticket, order, run_setup)

    def _send_remote(self, worker: _Worker, ticket: int, order: Order, run_setup: dict[str, Any] | None) -> None:
        own = self._run_setups[order.run_id]
        cassette = own.settings["record"]
        worker.transfer = Transfer(scratch_of(Path(own.scratch), ticket), None if cassette is None else Path(cassette))
        pack, commits = pack_for(self._repository(own.project), order, worker.commits)
        worker.commits.update(commits)
        for piece in pieces(pack):
            worker.send("pack", piece)
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

    def cancel(self, ticket: int, reason: str) -> None:  # noqa: ARG002 - the result says `interrupted`
        if worker := self._worker_with(ticket):
            worker.asked_at = time.monotonic()
            worker.send("cancel", ticket)

    def spend_no_more(self, ticket: int, reason: str) -> None:
        if worker := self._worker_with(ticket):
            worker.send("spent", ticket, reason)

    def kill(self, ticket: int) -> None:
        self._is_ending = True
        if worker := self._worker_with(ticket):
            worker.kill()

    def _worker_with(self, ticket: int) -> _Worker | None:
        return next((worker for worker in self._workers.values() if worker.ticket == ticket), None)

    # -- events --------------------------------------------------------------------------------------------------

    def _listen_to_workers(self, deadline: float) -> None:
        """Take the next event, waiting for it until the deadline, and all that have come with it."""
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
            self._lose(worker, str(about.get("error") or event))
        elif event in LEAVING:  # it had left before, with an internal error
            return
        if event in LEAVING and self._is_ending:
            self.xdist.end_worker(about["node"], about.get("error"))
            return
        self.xdist.handle(event, about, self._forget_unborn)

    def _forget_unborn(self) -> None:
        for worker in [*self._workers.values()]:
            if worker.pid is None and worker.channel.isclosed():
                del self._workers[worker.node]

    def _give_up_silent(self) -> None:
        """Give up workers that are stopped, or whose connection is dead: their events were all taken before."""
        now = time.monotonic()
        passed_s, self._looked = min(now - self._looked, LOOK_S), now
        for worker in self._workers.values():
            worker.silent_s += 0.0 if worker.pid is None else passed_s
            owes_answer = worker.asked_at is not None and now - worker.asked_at > ANSWER_S
            if (owes_answer or worker.silent_s > SILENT_S) and not worker.is_given_up:
                worker.give_up()

    def _on_message(self, worker: _Worker, kind: str, *fields: Any) -> None:
        worker.silent_s, worker.asked_at = 0.0, None
        match kind, *fields:
            case "ready", int(pid), bool(shares_disk):
                worker.pid, worker.shares_disk = pid, shares_disk
                self._prepare(worker)
            case "part", int(), str(kind), piece if worker.transfer is not None:
                worker.transfer.add(kind, piece)
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

    def _send_event(self, ticket: int, event: AttemptEvent) -> None:
        if self._listen is not None and ticket in self._orders:
            self._listen(ticket, event)

    def _getter_of(self, worker: _Worker, ticket: int, wire: dict[str, Any]) -> Callable[[], AttemptResult]:
        read = partial(from_wire, AttemptResult, wire)
        transfer, order = worker.transfer, self._orders[ticket]
        if transfer is None:
            return read
        repository, worker.transfer = self._repository(self._run_setups[order.run_id].project), None
        result = read()
        worker.slot = result.session.slot if result.session is not None else worker.slot
        return partial(transfer.unpack, order, result, repository)

    def _finish(self, worker: _Worker, ticket: int, get_result: Callable[[], AttemptResult]) -> None:
        worker.ticket = None
        del self._orders[ticket]
        self._arrived.append(Finished(ticket, get_result))

    def _lose(self, worker: _Worker, error: str) -> None:
        del self._workers[worker.node]
        if worker.ticket is None:
            return
        order = self._orders.pop(worker.ticket)
        name = worker.node.gateway.id
        scratch = Path(self._run_setups[order.run_id].scratch)
        folder = attempt_folder(scratch, worker.ticket) if worker.shares_disk else None
        error = f"no sign of life for {worker.silent_s:.0f} s" if worker.is_given_up else error.lower()
        why = f"worker {name} was lost while it worked at the step ({error})"
        mark = "" if folder is None else f"{order.run_id}-{folder.name}"
        self._lost_orders.append(
            _LostOrder(Lost(worker.ticket, why, is_away=not worker.shares_disk), mark, time.monotonic() + RELEASE_S)
        )

    def _release_lost(self) -> None:
        """A lost order comes back when its processes are gone: its repeat may get the same worktree."""
        for lost in [*self._lost_orders]:
            lives = bool(lost.mark and marked(lost.mark))
            if not lives or time.monotonic() > lost.deadline:
                self._lost_orders.remove(lost)
                self._arrived.append(replace(lost.arrival, processes_ended=not lives))


def _raise(text: str) -> AttemptResult:
    raise WorkerFault(text)
