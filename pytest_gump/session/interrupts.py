"""Ends a session early: on a usage error, a GumpError, a signal, or an option of pytest such as `--maxfail`."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gump.errors import GumpError
from pytest_gump.text import clean_text, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def terminable(*more: signal.Signals) -> Iterator[None]:
    """Let SIGTERM, SIGHUP and `more` end the session: stop child processes, close the ledger, exit with 2."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, signal.SIGTERM, signal.SIGHUP, *more):
        yield


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Provide a function that returns True after a Ctrl-C, SIGTERM or SIGHUP. A second one interrupts the block."""
    received = threading.Event()

    def record_first(_number: int, _frame: object) -> None:
        if received.is_set():
            raise KeyboardInterrupt
        received.set()

    with _handling(record_first, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield received.is_set


@contextmanager
def _handling(handler: Callable[[int, Any], None], *numbers: signal.Signals) -> Iterator[None]:
    """Handle these signals in the block. An ignored SIGHUP (`nohup`) stays ignored."""
    before = {number: signal.getsignal(number) for number in numbers}
    if before.get(signal.SIGHUP) is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous if previous is not None else signal.SIG_DFL)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay a first SIGINT or SIGTERM until the block ends. A second one interrupts the block."""
    received: list[int] = []

    def delay(number: int, _frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    with _handling(delay, signal.SIGINT, signal.SIGTERM):
        yield
    for missed in received:
        signal.raise_signal(missed)


class usage_errors:  # noqa: N801 - used as a statement: `with usage_errors():`
    """Turn a GumpError into pytest's usage error: exit code 4, no traceback."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, GumpError):
            raise pytest.UsageError(clean_text(str(error))) from None


@contextmanager
def failing_in_one_line(session: pytest.Session) -> Iterator[None]:
    """Fail the session with the first line of a GumpError that ends a run, for example on a full disk."""
    try:
        yield
    except GumpError as error:
        from pytest_gump.engine.attempt.judge import REASON_CHARS  # not needed by dry runs

        session.shouldfail = one_line(str(error), REASON_CHARS)
        raise session.Failed(session.shouldfail) from None


def stop_if_asked(session: pytest.Session) -> None:
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
