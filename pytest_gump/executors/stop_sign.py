"""Stops a running order: a request of the controller becomes a KeyboardInterrupt in the main thread."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class StopSign:
    """Raises KeyboardInterrupt at a request of the controller, but only while the order is running."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ticket: int | None = None
        self._asked: set[int] = set()
        self._is_over = False
        self._is_raised = False

    def ask(self, ticket: int) -> None:
        """Stop an order: at once if it is running, otherwise when it starts."""
        with self._lock:
            self._asked.add(ticket)
            if ticket == self._ticket:
                self._interrupt()

    def all(self) -> None:
        """Stop the running order and all later ones."""
        with self._lock:
            self._is_over = True
            if self._ticket is not None:
                self._interrupt()

    def _interrupt(self) -> None:
        self._is_raised = True
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Ignore SIGINT and SIGHUP of the terminal inside the context.

        The terminal sends them to all of its processes. Only the controller reacts to them.
        """
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
        """Allow `ask` and `all` to stop the order inside the context."""
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
