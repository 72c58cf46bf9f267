"""The worker's side: runs ordinary tests, then carries out orders until the controller ends the worker.

Messages from the controller:            Messages to it:
    ("set_up", run_setup)                    ("ready", pid, shares_disk, carries_out_several)
    ("order", ticket, order, run_setup)      ("alive",) every few seconds
    ("cancel", ticket)                       ("live", ticket, turns, usage)
    ("spent", ticket, reason)                ("tool", ticket, tool, path, command)
    ("kill", ticket)                         ("gate", ticket, name)
    ("end",)                                 ("result", ticket, result)    ("error", ticket, text)
                                             ("lost", ticket, why)

A forked process carries out each order, see `forked`. On systems without fork, the worker carries out orders itself,
one at a time. Only the first order of a run has a `run_setup`. If the channel ends, the controller has ended, and
running orders are stopped in the same way as by Ctrl-C.

If no disk is shared, ("pack", ticket, piece) messages precede an order, and the order has a fifth part: the commits in
the pack. ("part", ticket, kind, piece) messages precede a result. See `remote_mirror` and `transfer`.
"""

from __future__ import annotations

import os
import threading
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.executors.forked import ENDS, ForkedRunners, load_for_orders
from pytest_gump.executors.liveness import BEAT_S
from pytest_gump.executors.order_runner import OrderRunner, ServedRun, text_of
from pytest_gump.executors.protocol import CAN_FORK
from pytest_gump.executors.remote_mirror import CheckoutLocation
from pytest_gump.executors.run_setup import RunSetup
from pytest_gump.order import Order, from_wire
from pytest_gump.system.processes.keeper import drain
from pytest_gump.system.processes.process import Supervisor

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pytest_gump.executors.remote_mirror import RemoteHome

END: Final = ("end",)
CHANNEL: Final = "gump_channel"
ARGUMENTS: Final = "gump_arguments"
CHECKOUT: Final = "gump_checkout"
FILES: Final = "gump_files"
"""Names in xdist's `workerinput`."""


class OrderServer:
    """Carries out orders on a worker. Registered as a pytest plugin if the session runs a workflow."""

    def __init__(self, config: pytest.Config) -> None:
        workerinput: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
        self._channel = workerinput.pop(CHANNEL)
        config.args = workerinput.pop(ARGUMENTS)
        self._files = {Path(config.invocation_params.dir, name) for name in workerinput.pop(FILES)}
        """Specs and workflow files, which the worker does not collect as tests."""
        self._shares_disk = CheckoutLocation(**workerinput.pop(CHECKOUT)).is_here()
        self._packs: dict[int, bytes] = {}
        self._homes: dict[str, RemoteHome] = {}
        self._leases: dict[int, tuple[RemoteHome, tuple[str, ...]]] = {}
        """The slots of running orders, if no disk is shared."""
        self._runs: dict[str, ServedRun] = {}
        self._unfit: dict[str, Exception] = {}
        """Exceptions of runs whose setup failed here, by run id."""
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._wake, self._woken = -1, -1
        self._supervisor = Supervisor()
        self._own = OrderRunner(self._send)
        """Carries out orders on systems without fork."""
        self._forked = ForkedRunners(self._runs, self._supervisor, self._on_order_message, self._cut_off)

    def collect_file(self, path: Path, _parent: pytest.Collector) -> list[pytest.Collector] | None:
        """Return no tests for a file of a run, and None for other files."""
        return [] if path in self._files else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if not (session.shouldfail or session.shouldstop):
            self._wake, self._woken = os.pipe()
            os.set_blocking(self._wake, False)
            os.set_blocking(self._woken, False)
            supervised = nullcontext() if CAN_FORK else self._supervisor
            with supervised, self._own.stop.armed(), self._beating(), closing(self._forked):
                self._channel.setcallback(self._on_message, endmarker=None)
                self._send("ready", os.getpid(), self._shares_disk, CAN_FORK)
                self._serve(session)
            for home in self._homes.values():
                home.close()
        return result

    def _on_message(self, message: tuple[Any, ...] | None) -> None:
        """Queue a message. Runs in the thread that reads from the controller."""
        if message is not None and message[0] == "cancel":
            self._send("alive")  # the controller kills a worker that does not answer
        if not CAN_FORK:
            self._own.on_message(message)
        self._inbox.put(message or ("gone",))
        with suppress(BlockingIOError):  # a full pipe wakes the main thread too
            os.write(self._woken, b"!")

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Send a sign of life every few seconds, from a separate thread, even while other threads wait."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_S):
                self._send("alive")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _serve(self, session: pytest.Session) -> None:
        """Handle the controller's messages until it ends this worker and the last orders have ended."""
        is_ending = False
        while not is_ending or self._forked.is_busy:
            message = self._next()
            match message:
                case ("pack", ticket, piece):
                    self._packs[ticket] = self._packs.get(ticket, b"") + piece
                case ("set_up", run_setup):
                    self._make_ready(session, RunSetup(**run_setup))
                case ("order", ticket, order, run_setup, *commits):
                    setup = None if run_setup is None else RunSetup(**run_setup)
                    self._start(session, ticket, from_wire(Order, order), setup, *commits)
                case ("cancel" | "spent", *_):
                    self._forked.pass_on(message)
                case ("kill", ticket):
                    self._forked.kill(ticket)
                case ("gone",):
                    self._forked.stop_all()
            is_ending = is_ending or message in (END, ("gone",))

    def _next(self) -> tuple[Any, ...]:
        """Return the next message of the controller, or an empty tuple after handling messages of forked processes."""
        with suppress(Empty):
            return self._inbox.get_nowait()
        self._forked.relay(self._wake)
        drain(self._wake)
        return ()

    def _start(
        self, session: pytest.Session, ticket: int, order: Order, run_setup: RunSetup | None,
        commits: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Start an order. If that fails, answer with the reason."""
        try:
            if order.run_id in self._unfit:
                raise self._unfit[order.run_id]  # noqa: TRY301 - answered like an exception raised now
            home = self._receive(ticket, order, run_setup, commits)
            if run_setup is not None:
                self._set_up(session, run_setup, home)
            run = self._runs[order.run_id]
            if home is not None:
                order = home.own(order, run.tools.slots)
                self._leases[ticket] = home, order.slots
        except BaseException as error:  # noqa: BLE001 - a process boundary: a conftest's hook may raise anything
            self._send("error", ticket, text_of(error))
            return
        if CAN_FORK:
            self._forked.start(ticket, order)
        else:
            self._on_order_message(*self._own.answer(run, ticket, order))

    def _make_ready(self, session: pytest.Session, run_setup: RunSetup) -> None:
        """Set up a run before its first order arrives. If that fails, its orders report the error."""
        load_for_orders()
        try:
            self._set_up(session, run_setup, None)
        except Exception as error:  # noqa: BLE001 - a process boundary: a conftest's hook may raise anything
            self._unfit[run_setup.run_id] = error

    def _set_up(self, session: pytest.Session, run_setup: RunSetup, home: RemoteHome | None) -> None:
        tools = run_setup.tools(session, self._supervisor, home)
        _ = tools.slots.folder.private  # created in this process, because it is removed when its creator ends
        self._runs[run_setup.run_id] = ServedRun(tools, run_setup.shows_tools, home)

    def _receive(
        self, ticket: int, order: Order, run_setup: RunSetup | None, commits: Sequence[str]
    ) -> RemoteHome | None:
        """Store the commits of an order, if no disk is shared. Return their folder, or None."""
        if self._shares_disk:
            return None
        if run_setup is not None:
            self._homes[order.run_id] = run_setup.remote_home()
        home = self._homes[order.run_id]
        home.receive(self._packs.pop(ticket, b""), commits)
        return home

    def _on_order_message(self, *message: Any) -> None:
        """Send a message about an order. Free its slots before the last one."""
        if message[0] in ENDS and message[1] in self._leases:
            home, slots = self._leases.pop(message[1])
            home.release(slots, is_clean=message[0] != "lost")
        self._send(*message)

    def _send(self, *message: Any) -> None:
        with suppress(OSError):  # the controller has ended, and the channel with it
            self._channel.send(message)

    def _cut_off(self) -> None:
        """Detach a forked process from the worker's connection, including finalizers of execnet's objects."""
        gateway = self._channel.gateway
        connection = gateway._io  # noqa: SLF001 - the only access to its descriptors
        gateway._send = lambda *_: None  # noqa: SLF001 - its lock may be held by a thread that the fork does not have
        null = os.open(os.devnull, os.O_RDWR)
        for name in ("infile", "outfile", "sock"):
            end = getattr(connection, name, None)
            if end is not None:
                os.dup2(null, end.fileno(), inheritable=False)
        os.close(null)
