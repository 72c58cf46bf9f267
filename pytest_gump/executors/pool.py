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
from pytest_gump.engine.attempt.recovery import attempt_folder, scratch_of
from pytest_gump.engine.attempt.tools import GateStarted
from pytest_gump.executors.progress import usage_of
from pytest_gump.executors.protocol import Finished, Lost, WorkerFault
from pytest_gump.executors.remote_mirror import Place, pack_for
from pytest_gump.executors.transfer import Transfer, pieces
from pytest_gump.executors.worker import ARGUMENTS, BEAT_S, CHANNEL, END, FILES, PLACE
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
MOURNING_S: Final = 8.0
"""How long the supervisor of a lost worker may take to end the agent's processes."""
LEAVE_S: Final = 10.0
DEAF_S: Final = 15 * BEAT_S
"""A worker that gives no sign of life for so long is given up: nobody watches its agent."""
MUTE_S: Final = 3 * BEAT_S
"""After so long it gets no order."""
ANSWER_S: Final = 2.0
"""How long a worker may take to say that it has heard what it is to stop."""
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
    """Runs that it was told of."""
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
class _Fallen:
    """A lost order, until nothing lives of what it had started."""

    lost: Lost
    mark: str
    deadline: float


class Workers:
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
        self._equipment: dict[str, RunSetup] = {}
        self._listen: Callable[[int, AttemptEvent], None] | None = None
        self._arrived: list[Finished | Lost] = []
        self._fallen: list[_Fallen] = []
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
        node.workerinput[PLACE] = asdict(Place.of(project_root(self._config)))
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
            with suppress(OSError):
                worker.channel.send(END)
        deadline = time.monotonic() + timeout_s
        while self._workers and time.monotonic() < deadline:
            self._listen_to_workers(deadline)
        for worker in self._workers.values():
            worker.kill()

    # -- orders --------------------------------------------------------------------------------------------------

    def set_up(self, run_setup: Sequence[RunSetup], listen: Callable[[int, AttemptEvent], None]) -> None:
        """Say what workers have to know of the runs, and who wants to hear of their attempts."""
        self._equipment = {one.run_id: one for one in run_setup}
        self._listen = listen
        for worker in self._workers.values():
            self._prepare(worker)

    def _prepare(self, worker: _Worker) -> None:
        """Let a worker make ready for all runs while it has nothing else to do: a first order waits for that else."""
        if worker.pid is None or not worker.shares_disk:
            return
        for run_setup in self._equipment.values():
            if run_setup.run_id not in worker.known:
                worker.known.add(run_setup.run_id)
                with suppress(OSError):
                    worker.channel.send(("equip", run_setup.to_wire()))

    @property
    def free(self) -> int:
        return sum(worker.is_idle for worker in self._workers.values())

    @property
    def gone(self) -> str | None:
        return None if self._workers else "no worker is left: they crashed, and no more are started"

    def start(self, ticket: int, order: Order) -> None:
        idle = [one for one in self._workers.values() if one.is_idle]
        wanted = order.slot if order.session is None else order.session.slot
        worker = next((one for one in idle if one.slot == wanted), idle[0])
        worker.ticket = ticket
        self._orders[ticket] = order
        run_setup = None if order.run_id in worker.known else self._equipment[order.run_id].to_wire()
        worker.known.add(order.run_id)
        with suppress(OSError):  # it is gone, and xdist will say so
            if worker.shares_disk:
                worker.slot = order.slot
                worker.channel.send(("order", ticket, to_wire(order), run_setup))
            else:
                self._send_away(worker, ticket, order, run_setup)

    def _send_away(self, worker: _Worker, ticket: int, order: Order, run_setup: dict[str, Any] | None) -> None:
        of = self._equipment[order.run_id]
        cassette = of.settings["record"]
        worker.transfer = Transfer(scratch_of(Path(of.scratch), ticket), None if cassette is None else Path(cassette))
        pack, commits = pack_for(self._repository(of.project), order, worker.commits)
        worker.commits.update(commits)
        for piece in pieces(pack):
            worker.channel.send(("pack", piece))
        worker.channel.send(("order", ticket, to_wire(order), run_setup, commits))

    def _repository(self, project: str) -> Repository:
        if project not in self._repositories:
            self._repositories[project] = Repository.open(Path(project))
        return self._repositories[project]

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        if not self._arrived:
            self._listen_to_workers(time.monotonic() + timeout_s)
        self._look_for_deaf()
        self._mourn()
        arrived, self._arrived = self._arrived, []
        return arrived

    def cancel(self, ticket: int, reason: str) -> None:  # noqa: ARG002 - the result says `interrupted`
        for worker in self._workers.values():
            if worker.ticket == ticket:
                worker.asked_at = time.monotonic()
        self._tell(ticket, "cancel", ticket)

    def spend_no_more(self, ticket: int, reason: str) -> None:
        self._tell(ticket, "spent", ticket, reason)

    def kill(self, ticket: int) -> None:
        self._is_ending = True
        for worker in self._workers.values():
            if worker.ticket == ticket:
                worker.kill()

    def _tell(self, ticket: int, *message: Any) -> None:
        for worker in self._workers.values():
            if worker.ticket == ticket:
                with suppress(OSError):
                    worker.channel.send(message)

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
                self._hear(worker, *about["message"])
            return
        if worker is not None and event in LEAVING:
            self._fall(worker, str(about.get("error") or event))
        elif event in LEAVING:  # it had left before, with an internal error
            return
        if event in LEAVING and self._is_ending:
            self.xdist.see_off(about["node"], about.get("error"))
            return
        self.xdist.handle(event, about, self._forget_unborn)

    def _forget_unborn(self) -> None:
        for one in [one for one in self._workers.values() if one.pid is None and one.channel.isclosed()]:
            del self._workers[one.node]

    def _look_for_deaf(self) -> None:
        """Give up workers that are stopped, or whose connection is dead: their events were all taken before."""
        now = time.monotonic()
        passed_s, self._looked = min(now - self._looked, LOOK_S), now
        for worker in self._workers.values():
            worker.silent_s += 0.0 if worker.pid is None else passed_s
            owes_answer = worker.asked_at is not None and now - worker.asked_at > ANSWER_S
            if (owes_answer or worker.silent_s > DEAF_S) and not worker.is_given_up:
                worker.give_up()

    def _hear(self, worker: _Worker, kind: str, *told: Any) -> None:
        worker.silent_s, worker.asked_at = 0.0, None
        match kind, *told:
            case "ready", int(pid), bool(shares_disk):
                worker.pid, worker.shares_disk = pid, shares_disk
                self._prepare(worker)
            case "part", int(), str(kind), piece if worker.transfer is not None:
                worker.transfer.add(kind, piece)
            case "live", int(ticket), int(turns), usage:
                self._tell_of(ticket, Turn(turns))
                if usage is not None:
                    self._tell_of(ticket, UsageSeen(usage_of(usage)))
            case "tool", int(ticket), str(tool), path, command:
                self._tell_of(ticket, ToolCall(tool, path, command))
            case "gate", int(ticket), str(name):
                self._tell_of(ticket, GateStarted(name))
            case "result", int(ticket), dict(result):
                self._finish(worker, ticket, self._outcome(worker, ticket, result))
            case "error", int(ticket), str(text):
                self._finish(worker, ticket, partial(_raise, text))

    def _tell_of(self, ticket: int, event: AttemptEvent) -> None:
        if self._listen is not None and ticket in self._orders:
            self._listen(ticket, event)

    def _outcome(self, worker: _Worker, ticket: int, wire: dict[str, Any]) -> Callable[[], AttemptResult]:
        read = partial(from_wire, AttemptResult, wire)
        transfer, order = worker.transfer, self._orders[ticket]
        if transfer is None:
            return read
        repository, worker.transfer = self._repository(self._equipment[order.run_id].project), None
        result = read()
        worker.slot = result.session.slot if result.session is not None else worker.slot
        return partial(transfer.unpack, order, result, repository)

    def _finish(self, worker: _Worker, ticket: int, outcome: Callable[[], AttemptResult]) -> None:
        worker.ticket = None
        del self._orders[ticket]
        self._arrived.append(Finished(ticket, outcome))

    def _fall(self, worker: _Worker, error: str) -> None:
        del self._workers[worker.node]
        if worker.ticket is None:
            return
        order = self._orders.pop(worker.ticket)
        name = worker.node.gateway.id
        scratch = Path(self._equipment[order.run_id].scratch)
        folder = attempt_folder(scratch, worker.ticket) if worker.shares_disk else None
        error = f"no sign of life for {worker.silent_s:.0f} s" if worker.is_given_up else error.lower()
        why = f"worker {name} was lost while it worked at the step ({error})"
        mark = "" if folder is None else f"{order.run_id}-{folder.name}"
        self._fallen.append(
            _Fallen(Lost(worker.ticket, why, is_away=not worker.shares_disk), mark, time.monotonic() + MOURNING_S)
        )

    def _mourn(self) -> None:
        """A lost order comes back when its processes are gone: its repeat may get the same worktree."""
        for fallen in [*self._fallen]:
            lives = bool(fallen.mark) and bool(marked(fallen.mark))
            if not lives or time.monotonic() > fallen.deadline:
                self._fallen.remove(fallen)
                self._arrived.append(replace(fallen.lost, is_quiet=not lives))


def _raise(text: str) -> AttemptResult:
    raise WorkerFault(text)
