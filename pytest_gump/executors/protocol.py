"""The protocol between the dispatch loop and executors."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pytest_gump.errors import GumpError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.order import AttemptResult, Order

    CarryOut = Callable[[int, Order, Callable[[AttemptEvent], None], Callable[[], str | None]], AttemptResult]
    """Carries out the order of a ticket. It calls the first function with events, the second for a reason to stop."""

CAN_FORK: Final = sys.platform == "linux"
"""True if a worker carries out several orders at once. On macOS, system libraries do not work after a fork."""


class WorkerFault(GumpError):  # noqa: N818 - shown as text, never as an exception
    """An exception that an attempt raised on its worker: the first line is the message, then the traceback."""


class Finished(NamedTuple):
    """An order that has ended, or that `get_result` carries out."""

    ticket: int
    get_result: Callable[[], AttemptResult]
    """Returns the result, or raises the exception of the attempt. Call it once."""
    is_over: bool = True
    """False if `get_result` carries out the order."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An order whose executor has ended without a result."""

    ticket: int
    why: str
    is_away: bool = False
    """True if its files are on another machine and cannot be read."""
    processes_ended: bool = True
    """False if processes that it started may still be running in its worktree."""


class Executor(Protocol):
    @property
    def free(self) -> int:
        """The number of orders that can start now."""

    @property
    def gone(self) -> str | None:
        """Why no more orders can start; None if orders can start, now or later."""

    def start(self, ticket: int, order: Order) -> None: ...

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        """Wait at most `timeout_s` for orders to end. Return those that have ended."""

    def cancel(self, ticket: int, reason: str) -> None:
        """Stop an order in the same way as Ctrl-C. It ends with the outcome `cancelled`."""

    def spend_no_more(self, ticket: int, reason: str) -> None:
        """Stop the agent of an order because the budget is used up. The order ends with the outcome `budget`."""

    def kill(self, ticket: int) -> None:
        """Kill the process that carries out an order. The order is reported as `Lost`."""
