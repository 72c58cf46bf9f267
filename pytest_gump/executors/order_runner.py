"""Carries out orders, one at a time, in a forked process of a worker or in the worker itself."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.cassettes import cassette
from pytest_gump.engine.attempt.agent_phase import STREAM
from pytest_gump.engine.attempt.attempt import Cancelled, execute
from pytest_gump.engine.attempt.recovery import recover
from pytest_gump.engine.attempt.workplace import attempt_folder, fresh_scratch
from pytest_gump.errors import GumpError, reason_of
from pytest_gump.executors.progress import ProgressSender
from pytest_gump.executors.stop_sign import StopSign
from pytest_gump.executors.transfer import LOST, clear, transfers, without_transfer
from pytest_gump.order import AttemptResult, Order, Outcome, to_wire
from pytest_gump.system.directory import Directory
from pytest_gump.system.processes.process_table import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_gump.engine.attempt.tools import Tools
    from pytest_gump.executors.remote_mirror import RemoteHome


@dataclass(frozen=True, slots=True)
class ServedRun:
    """A run whose orders this process can carry out."""

    tools: Tools
    shows_tools: bool
    """True if tool calls are sent to the controller while the attempt runs."""
    home: RemoteHome | None
    """None if this process shares the controller's disk."""


class OrderRunner:
    def __init__(self, send: Callable[..., None]) -> None:
        """Create a runner.

        Args:
            send: Called with the parts of a message for the controller, from several threads.
        """
        self._send = send
        self.stop = StopSign()
        self._spent: dict[int, str] = {}

    def on_message(self, message: tuple[Any, ...] | None) -> None:
        """Handle a message about a running order. Runs in the thread that reads from the controller."""
        match message:
            case None:
                self.stop.all()
            case ("cancel", ticket):
                self._send("alive")  # a process that does not answer is killed
                self.stop.ask(ticket)
            case ("spent", ticket, reason):
                self._spent[ticket] = reason

    def answer(self, run: ServedRun, ticket: int, order: Order) -> tuple[Any, ...]:
        """Carry out an order and return the answer to it. Every exception becomes an answer."""
        os.environ[MARK] = order_mark(order.run_id, ticket)  # for git, and for processes that a conftest starts here
        try:
            result = self._carry_out(run, ticket, order)
        except Cancelled as error:
            result = error.result
        except KeyboardInterrupt:
            result = _interrupted(run, ticket, order, Outcome.CANCELLED, "interrupted")
        except BaseException as error:  # noqa: BLE001 - a process boundary: a conftest's agent may raise anything
            broken = None if run.home is None else _broken(run, ticket, order, error)
            if broken is None:
                return "error", ticket, text_of(error)
            result = broken
        home = run.home
        return "result", ticket, to_wire(result if home is None else self._send_home(run, ticket, order, result, home))

    def _carry_out(self, run: ServedRun, ticket: int, order: Order) -> AttemptResult:
        tools = run.tools
        if run.home is not None and tools.settings.record is not None:
            recording = run.home.recording(ticket)
            shutil.rmtree(recording, ignore_errors=True)
            cassette.create(recording)
            tools = replace(tools, settings=replace(tools.settings, record=str(recording)))
        scratch = fresh_scratch(tools, ticket)
        progress = ProgressSender(ticket, self._send, shows_tools=run.shows_tools)
        own = replace(tools, scratch=scratch, listen=progress.listen, stop_asked=lambda: self._spent.get(ticket))
        done: list[AttemptResult] = []
        try:
            with self.stop.watching(ticket):
                done.append(execute(order, own))
        except Cancelled:
            raise
        except KeyboardInterrupt:
            if not done:  # otherwise, the attempt has already ended
                raise
        return done[0]

    def _send_home(
        self, run: ServedRun, ticket: int, order: Order, result: AttemptResult, home: RemoteHome
    ) -> AttemptResult:
        """Send the files and commits of the attempt to the controller. Return the result in the controller's terms."""
        repository, take = run.tools.repository, home.recording(ticket)
        try:
            for kind, piece in transfers(order, result, repository, take):
                self._send("part", ticket, kind, piece)
        except LOST as error:
            return without_transfer(result, reason_of(error))
        finally:
            with suppress(*LOST):
                clear(order, result, repository, take)
        return home.foreign(order, result)


def _broken(run: ServedRun, ticket: int, order: Order, error: BaseException) -> AttemptResult | None:
    """Return the result of an attempt that raised after its agent had started; None if no agent had started.

    The result contains the cost, which the controller cannot read from this disk.
    """
    folder, text = _folder(run, ticket), text_of(error)
    if folder is None or not (folder / STREAM).exists():
        return None
    with suppress(OSError):
        Directory.open(folder).write("traceback.txt", text.encode("utf-8", "replace"))
    reason = f"the step raised an error: {text.splitlines()[0]}"
    return _interrupted(run, ticket, order, Outcome.AGENT_ERROR, reason, final=True)


def _interrupted(
    run: ServedRun, ticket: int, order: Order, outcome: Outcome, reason: str, *, final: bool = False
) -> AttemptResult:
    """Return the result of an unfinished attempt, completed from its files on disk."""
    result = AttemptResult.not_made(order, outcome, reason, started=time.time(), final=final)
    folder = _folder(run, ticket)
    return result if folder is None else recover(order, run.tools, result, folder, folder.stat().st_mtime)


def _folder(run: ServedRun, ticket: int) -> Path | None:
    """Return the folder of an attempt; None if it does not exist yet."""
    return attempt_folder(run.tools.scratch, ticket)


def order_mark(run_id: str, ticket: int) -> str:
    """Return the mark of processes that an order starts outside its commands. Commands have marks of their own."""
    return f"{run_id}-{ticket}"


def text_of(error: BaseException) -> str:
    """Return the message in the first line, then the traceback. Errors of pytest-gump have no traceback."""
    if isinstance(error, GumpError):
        return str(error)
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"
