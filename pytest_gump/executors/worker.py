"""The side of a worker: runs its ordinary tests, then carries out orders one at a time until the controller ends it.

Messages from the controller:            Messages to it:
    ("set_up", run_setup)                    ("ready", pid, shares_disk)
    ("order", ticket, order, run_setup)
    ("cancel", ticket)                       ("alive",) every few seconds
    ("spent", ticket, reason)                ("live", ticket, turns, usage)
    ("end",)                                 ("tool", ticket, tool, path, command)
                                             ("gate", ticket, name)
                                             ("result", ticket, result)    ("error", ticket, text)

Where no disk is shared, an order has a fifth part, the commits that the ("pack", piece)s before it hold, and a
result comes after ("part", ticket, kind, piece)s: see `remote_mirror` and `transfer`. `run_setup` comes with the first
order of a run only. If the channel ends, the controller is gone: the running attempt is stopped as by Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_gump.agents.cassettes import cassette
from pytest_gump.engine.attempt.agent_phase import STREAM
from pytest_gump.engine.attempt.attempt import Cancelled, execute
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.workplace import attempt_folder, fresh_scratch
from pytest_gump.errors import GumpError, reason_of
from pytest_gump.executors.progress import ProgressSender
from pytest_gump.executors.remote_mirror import CheckoutLocation
from pytest_gump.executors.run_setup import RunSetup
from pytest_gump.executors.transfer import LOST, clear, transfers, without_transfer
from pytest_gump.order import AttemptResult, Order, Outcome, from_wire, to_wire, warm_up
from pytest_gump.system.directory import Directory
from pytest_gump.system.processes.process import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.executors.remote_mirror import RemoteHome

    MakeTools = Callable[[RunSetup, RemoteHome | None], Tools]

END: Final = ("end",)
BEAT_S: Final = 2.0
CHANNEL: Final = "gump_channel"
ARGUMENTS: Final = "gump_arguments"
CHECKOUT: Final = "gump_checkout"
FILES: Final = "gump_files"
"""Names in xdist's `workerinput`."""


class OrderServer:
    """Registered on a worker of a session that runs a workflow. Starts nothing by itself."""

    def __init__(self, config: pytest.Config) -> None:
        workerinput: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]
        self._channel = workerinput.pop(CHANNEL)
        config.args = workerinput.pop(ARGUMENTS)
        self._files = {Path(config.invocation_params.dir, name) for name in workerinput.pop(FILES)}
        """Files of a run, which are not tests here either."""
        self._shares_disk = CheckoutLocation(**workerinput.pop(CHECKOUT)).is_here()
        self._pack = b""
        self._homes: dict[str, RemoteHome] = {}
        self._unfit: dict[str, Exception] = {}
        """Why orders of a run cannot be carried out here."""
        self._inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._stop = StopSign()
        self._spent: dict[int, str] = {}
        self._tools: dict[str, Tools] = {}
        self._shows_tools = False

    def collect_file(self, path: Path, _parent: pytest.Collector) -> list[pytest.Collector] | None:
        """Collect nothing from a file of a run; None for any other file."""
        return [] if path in self._files else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        if not (session.shouldfail or session.shouldstop):
            with Supervisor() as supervisor, self._stop.armed(), self._beating():
                self._channel.setcallback(self._on_message, endmarker=None)
                self._send("ready", os.getpid(), self._shares_disk)
                self._serve(lambda run_setup, home: run_setup.tools(session, supervisor, home))
                for home in self._homes.values():
                    home.close()
        return result

    def _on_message(self, message: tuple[Any, ...] | None) -> None:
        """Take a message; runs in the thread that reads from the controller."""
        match message:
            case None:
                self._inbox.put(END)
                self._stop.all()
            case ("cancel", ticket):
                self._send("alive")  # the controller does not wait for a worker that gives no answer
                self._stop.ask(ticket)
            case ("spent", ticket, reason):
                self._spent[ticket] = reason
            case _:
                self._inbox.put(message)

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Tell every few seconds that this process is not stopped: a thread does, whatever the others wait for."""
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

    def _serve(self, make_tools: MakeTools) -> None:
        while (message := self._inbox.get()) != END:
            match message:
                case ("pack", piece):
                    self._pack += piece
                case ("set_up", run_setup):
                    self._make_ready(make_tools, RunSetup(**run_setup))
                case (_, ticket, order, run_setup, *commits):
                    setup = None if run_setup is None else RunSetup(**run_setup)
                    self._send(*self._answer(make_tools, ticket, from_wire(Order, order), setup, *commits))

    def _answer(
        self, make_tools: MakeTools, ticket: int, order: Order,
        run_setup: RunSetup | None, commits: Sequence[str] = (),
    ) -> tuple[Any, ...]:  # fmt: skip
        """Carry out an order; whatever goes wrong is an answer."""
        home = None
        try:
            if order.run_id in self._unfit:
                raise self._unfit[order.run_id]  # noqa: TRY301 - it is answered like what would happen now
            home = self._receive(order, run_setup, commits)
            if run_setup is not None:
                self._set_up(make_tools, run_setup, home)
            order = order if home is None else home.own(order, self._tools[order.run_id].slots)
            result = self._carry_out(ticket, order, home)
        except Cancelled as error:
            result = error.result
        except KeyboardInterrupt:
            result = self._interrupted(ticket, order, Outcome.CANCELLED, "interrupted")
        except BaseException as error:  # noqa: BLE001 - a process boundary: a conftest's agent may raise anything
            broken = None if home is None else self._broken(ticket, order, error)
            if broken is None:
                return "error", ticket, _text_of(error)
            result = broken
        return "result", ticket, to_wire(result if home is None else self._send_home(ticket, order, result, home))

    def _make_ready(self, make_tools: MakeTools, run_setup: RunSetup) -> None:
        """Do ahead what the first order of a run would have to wait for; that order reports an error."""
        warm_up()
        try:
            self._set_up(make_tools, run_setup, None)
        except Exception as error:  # noqa: BLE001 - a process boundary: a conftest's hook may raise anything
            self._unfit[run_setup.run_id] = error

    def _set_up(self, make_tools: MakeTools, run_setup: RunSetup, home: RemoteHome | None) -> None:
        self._shows_tools = run_setup.shows_tools
        self._tools[run_setup.run_id] = make_tools(run_setup, home)

    def _receive(self, order: Order, run_setup: RunSetup | None, commits: Sequence[str]) -> RemoteHome | None:
        """Take in what came before the order, if no disk is shared."""
        if self._shares_disk:
            return None
        if run_setup is not None:
            self._homes[order.run_id] = run_setup.remote_home()
        home = self._homes[order.run_id]
        pack, self._pack = self._pack, b""
        home.receive(pack, commits)
        return home

    def _send_home(self, ticket: int, order: Order, result: AttemptResult, home: RemoteHome) -> AttemptResult:
        repository, take = self._tools[order.run_id].repository, home.recording(ticket)
        try:
            for kind, piece in transfers(order, result, repository, take):
                self._send("part", ticket, kind, piece)
        except LOST as error:
            return without_transfer(result, reason_of(error))
        finally:
            with suppress(*LOST):
                clear(order, result, repository, take)
        return home.foreign(result)

    def _carry_out(self, ticket: int, order: Order, home: RemoteHome | None) -> AttemptResult:
        tools = self._tools[order.run_id]
        if home is not None and tools.settings.record is not None:
            shutil.rmtree(home.recording(ticket), ignore_errors=True)
            cassette.create(home.recording(ticket))
            tools = replace(tools, settings=replace(tools.settings, record=str(home.recording(ticket))))
        scratch = fresh_scratch(tools, ticket)
        progress = ProgressSender(ticket, self._send, shows_tools=self._shows_tools)
        own = replace(tools, scratch=scratch, listen=progress.listen, stop_asked=lambda: self._spent.get(ticket))
        done: list[AttemptResult] = []
        try:
            with self._stop.watching(ticket):
                done.append(execute(order, own))
        except Cancelled:
            raise
        except KeyboardInterrupt:
            if not done:  # else it came too late: the attempt is over
                raise
        return done[0]

    def _broken(self, ticket: int, order: Order, error: BaseException) -> AttemptResult | None:
        """The result of an attempt that broke after its agent had begun: the controller cannot read what that cost."""
        folder, text = self._folder(ticket, order), _text_of(error)
        if folder is None or not (folder / STREAM).exists():
            return None
        with suppress(OSError):
            Directory.open(folder).write("traceback.txt", text.encode("utf-8", "replace"))
        reason = f"the step raised an error: {text.splitlines()[0]}"
        return self._interrupted(ticket, order, Outcome.AGENT_ERROR, reason, final=True)

    def _interrupted(
        self, ticket: int, order: Order, outcome: Outcome, reason: str, *, final: bool = False
    ) -> AttemptResult:
        """The result of an attempt that did not come to its end, completed by what it left on disk."""
        result = AttemptResult.not_made(order, outcome, reason, started=time.time(), final=final)
        folder = self._folder(ticket, order)
        if folder is None:
            return result
        return recover(order, self._tools[order.run_id], result, folder, folder.stat().st_mtime)

    def _folder(self, ticket: int, order: Order) -> Path | None:
        """The files of an attempt; None if it has none yet."""
        tools = self._tools.get(order.run_id)
        return None if tools is None else attempt_folder(tools.scratch, ticket)

    def _send(self, *message: Any) -> None:
        with suppress(OSError):  # the controller is gone: the channel ends, too
            self._channel.send(message)


def _text_of(error: BaseException) -> str:
    """In the first line what happened, then where."""
    if isinstance(error, GumpError):
        return str(error)
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"


class StopSign:
    """Turns what the controller asks for into a KeyboardInterrupt, but only while an order is carried out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ticket: int | None = None
        self._asked: set[int] = set()
        self._is_over = False
        self._is_raised = False

    def ask(self, ticket: int) -> None:
        """Stop an order: at once, or as soon as it begins."""
        with self._lock:
            self._asked.add(ticket)
            if ticket == self._ticket:
                self._interrupt()

    def all(self) -> None:
        with self._lock:
            self._is_over = True
            if self._ticket is not None:
                self._interrupt()

    def _interrupt(self) -> None:
        self._is_raised = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """A Ctrl-C, or a hangup, goes to all processes of the terminal: only the controller decides what it means."""
        before = signal.signal(signal.SIGINT, self._on_signal)
        on_hangup = signal.getsignal(signal.SIGHUP)
        if on_hangup is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda _number, _frame: None)  # unlike SIG_IGN, no child inherits it
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGHUP, on_hangup)

    def _on_signal(self, _number: int, _frame: object) -> None:
        if self._is_raised:
            self._is_raised = False
            raise KeyboardInterrupt

    @contextmanager
    def watching(self, ticket: int) -> Iterator[None]:
        """While this lasts, the order can be stopped."""
        try:
            with self._lock:
                self._ticket = ticket
                is_stopped = self._is_over or ticket in self._asked
            if is_stopped:
                raise KeyboardInterrupt
            yield
        finally:
            with self._lock:
                self._ticket, self._is_raised = None, False
