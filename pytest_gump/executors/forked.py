"""Processes that a worker forks to carry out orders.

Each process carries out one order at a time and exchanges messages with the controller through the worker. Forking a
worker that is ready takes a few milliseconds. Starting another worker takes a second. Pipes, signals and hooks work as
in the worker. A forked process has no execnet threads and must not use the worker's connection. It ends with the
worker.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_gump.executors.frames import Frames
from pytest_gump.executors.liveness import BEAT_S, LOOK_S, Liveness
from pytest_gump.executors.order_runner import OrderRunner
from pytest_gump.order import Order, from_wire, to_wire
from pytest_gump.system.processes.keeper import set_death_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.executors.order_runner import ServedRun
    from pytest_gump.system.processes.process import Supervisor

ENDS: Final = frozenset({"result", "error", "lost"})
"""Kinds of the last message about an order."""
_SEND_S: Final = 5.0
"""A process that reads no messages for this time is killed."""
_LEAVE_S: Final = 5.0


@dataclass(slots=True, eq=False)
class _Forked:
    """The worker's record of a forked process."""

    pid: int
    handle: int
    """A pidfd. It becomes readable when the process ends, even if another process has inherited the connection."""
    frames: Frames
    runs: frozenset[str]
    """Runs whose orders it can carry out."""
    ticket: int | None = None
    liveness: Liveness = field(default_factory=Liveness)
    is_given_up: bool = False
    at_end: bool = False
    """It sends no more messages."""

    def send(self, *message: Any) -> None:
        try:
            self.frames.send(*message)
        except OSError:  # the process has ended, or does not read
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        self.frames.close()
        os.close(self.handle)


class ForkedRunners:
    def __init__(
        self,
        runs: Mapping[str, ServedRun],
        supervisor: Supervisor,
        send: Callable[..., None],
        cut_off: Callable[[], None],
    ) -> None:
        """Fork nothing yet.

        Args:
            runs: The runs that this worker has set up, by run id.
            supervisor: Not started. Every process starts its own copy.
            send: Called with the messages for the controller.
            cut_off: Called in every process to detach it from the worker's connection.
        """
        self._runs = runs
        self._supervisor = supervisor
        self._send = send
        self._cut_off = cut_off
        self._all: list[_Forked] = []
        self._last_in: dict[str, _Forked] = {}
        """The last process that worked in each slot. It has the state of the slot in memory."""

    @property
    def is_busy(self) -> bool:
        return any(forked.ticket is not None for forked in self._all)

    def start(self, ticket: int, order: Order) -> None:
        try:
            forked = self._idle(order) or self._fork()
        except OSError as error:
            self._send("lost", ticket, f"cannot start a process: {error.strerror}")
            return
        forked.ticket, forked.liveness = ticket, Liveness()
        self._last_in[order.slot] = forked
        forked.send("order", ticket, to_wire(order))

    def pass_on(self, message: tuple[Any, ...]) -> None:
        """Send a message about a running order to its process."""
        forked = self._with(message[1])
        if forked is not None:
            if message[0] == "cancel":
                forked.liveness.expect_answer()
            forked.send(*message)

    def kill(self, ticket: int) -> None:
        forked = self._with(ticket)
        if forked is not None:
            forked.kill()

    def stop_all(self) -> None:
        """Stop all running orders in the same way as Ctrl-C."""
        for forked in self._all:
            forked.send()

    def relay(self, wake: int) -> None:
        """Wait until `wake` is readable, or a process sends a message or ends. Forward messages to the controller."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        for forked in self._all:
            poll.register(forked.handle, select.POLLIN)
            if not forked.at_end:
                poll.register(forked.frames, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(1000 * LOOK_S / 2 if self.is_busy else None)}
        for forked in [*self._all]:
            if forked.frames.fileno() in ready:
                self._relay_from(forked)
            if forked.handle in ready:
                self._remove_ended(forked)
            elif forked.ticket is not None and not forked.is_given_up and forked.liveness.should_end():
                forked.is_given_up = True
                forked.kill()

    def close(self) -> None:
        """Let all processes end. Kill those that are still running after five seconds in total."""
        for forked in self._all:
            forked.frames.close()
        deadline = time.monotonic() + _LEAVE_S
        for forked in self._all:
            if not select.select([forked.handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
                forked.kill()
            _status_of(forked)
            os.close(forked.handle)
        self._all.clear()

    def _with(self, ticket: int) -> _Forked | None:
        return next((forked for forked in self._all if forked.ticket == ticket), None)

    def _idle(self, order: Order) -> _Forked | None:
        """Return an idle process that can carry out the order, preferably the last one that worked in its slot."""
        idle = [forked for forked in self._all if forked.ticket is None and not forked.at_end]
        for forked in idle:
            if order.run_id not in forked.runs:  # it was forked before the run was set up
                forked.at_end = True
                forked.send("leave")
        fit = [forked for forked in idle if not forked.at_end]
        last = self._last_in.get(order.slot)
        return last if last in fit else next(iter(fit), None)

    def _relay_from(self, forked: _Forked) -> None:
        messages = forked.frames.receive()
        if messages is None:  # without a connection, the process can no longer be stopped by a message
            forked.at_end = True
            forked.kill()
        for message in messages or ():
            forked.liveness.note_sign()
            if message is None or message[0] == "alive":
                continue
            if message[0] in ENDS:
                forked.ticket = None
            self._send(*message)

    def _remove_ended(self, forked: _Forked) -> None:
        """Forward the last messages of an ended process, then report its order as lost."""
        while not forked.at_end and forked.frames.comes_within(0):
            self._relay_from(forked)
        self._all.remove(forked)
        status = _status_of(forked)
        forked.close()
        if forked.ticket is not None:
            silent = f"no sign of life for {forked.liveness.silent_s:.0f} s"
            self._send("lost", forked.ticket, silent if forked.is_given_up else status)

    def _fork(self) -> _Forked:
        ours, theirs = socket.socketpair()
        ours.settimeout(_SEND_S)
        _flush()
        gc.freeze()  # otherwise, a collection in the process copies all pages that it shares with the worker
        worker = os.getpid()
        with warnings.catch_warnings():
            # The worker has two other threads: one only reads from execnet, one only sends signs of life.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            ours.close()
            _exit_after(lambda: self._serve(theirs, worker))
        theirs.close()
        forked = _Forked(pid, os.pidfd_open(pid), Frames(ours), frozenset(self._runs))
        self._all.append(forked)
        return forked

    # -- in the process ------------------------------------------------------------------------------------------

    def _serve(self, end: socket.socket, worker: int) -> None:
        set_death_signal(signal.SIGKILL)
        if os.getppid() != worker:
            return
        self._cut_off()
        for forked in self._all:
            forked.close()
        frames = Frames(end)
        runner = OrderRunner(frames.send)
        orders: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        threading.Thread(target=_listen, args=(frames, runner, orders), daemon=True).start()
        with self._supervisor, runner.stop.armed():
            while (message := orders.get()) is not None:
                _, ticket, wire = message
                order = from_wire(Order, wire)
                frames.send(*runner.answer(self._runs[order.run_id], ticket, order))


def load_for_orders() -> None:
    """Import modules that nearly every order needs. This saves 13 ms of CPU in every forked process."""
    for name in ("pathspec", "pytest_gump.gates.commands"):
        importlib.import_module(name)


def _listen(frames: Frames, runner: OrderRunner, orders: SimpleQueue[tuple[Any, ...] | None]) -> None:
    """Receive messages from the worker, and send it a sign of life every few seconds."""
    messages: Sequence[tuple[Any, ...] | None] | None = ()
    try:
        with suppress(OSError, MemoryError):  # the worker has ended, or sending fails
            while messages is not None:
                if not frames.comes_within(BEAT_S):
                    frames.send("alive")
                    continue
                messages = frames.receive()
                for message in messages or ():
                    if message == ("leave",):
                        orders.put(None)
                    elif message is not None and message[0] == "order":
                        orders.put(message)
                    else:
                        runner.on_message(message)
    finally:
        orders.put(None)  # a running order is not stopped here: the kernel kills this process with the worker


def _exit_after(serve: Callable[[], None]) -> NoReturn:
    """Run `serve` and end this process without the worker's own clean-up."""
    status = 1
    try:
        _exit_without_worker()
        serve()
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - `multiprocessing` does the same
        atexit._run_exitfuncs()  # noqa: SLF001 - as above
        status = 0
    except BaseException:  # noqa: BLE001 - no exception may reach the worker's code
        with suppress(BaseException):  # memory may be exhausted
            traceback.print_exc()
    finally:
        try:
            _flush()
            os._exit(status)
        finally:  # without memory, even `os._exit` may fail
            os.kill(os.getpid(), signal.SIGKILL)


def _exit_without_worker() -> None:
    """Remove the exit functions of the worker. Functions registered later belong to this process."""
    atexit._clear()  # noqa: SLF001 - there is no other way
    for finalizer in [*weakref.finalize._registry]:  # type: ignore[attr-defined] # noqa: SLF001 - as above
        finalizer.atexit = False
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined] # noqa: SLF001 - as above


def _flush() -> None:
    """Flush stdout and stderr. Buffered output is written twice after a fork, and is lost at `os._exit`."""
    for file in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            file.flush()


def _status_of(forked: _Forked) -> str:
    """Reap the process and return how it ended."""
    try:
        code = os.waitstatus_to_exitcode(os.waitpid(forked.pid, 0)[1])
    except ChildProcessError:  # other code has already reaped it
        return "it ended"
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
