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
    """Carries out the order of a ticket. The first function gets its events; the second returns why it must stop."""

CAN_FORK: Final = sys.platform == "linux"
"""Whether a worker carries out several orders at once; on macOS, libraries of the system do not survive a fork."""


class WorkerFault(GumpError):  # noqa: N818 - shown as text, never as an exception
    """An exception that an attempt raised on its worker: first its text in one line, then the traceback."""


class Finished(NamedTuple):
    """An order that came to its end."""

    ticket: int
    get_result: Callable[[], AttemptResult]
    """Returns the result, or raises what the attempt raised; to be called once."""
    is_over: bool = True
    """False: `get_result` carries the order out."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An order whose executor is gone."""

    ticket: int
    why: str
    is_away: bool = False
    """Its files are where nobody reads them any more."""
    processes_ended: bool = True
    """False: something that it started may still live in its worktree."""


class Executor(Protocol):
    @property
    def free(self) -> int:
        """How many orders may start now."""

    @property
    def gone(self) -> str | None:
        """Why no order will ever start again; None while there is hope."""

    def start(self, ticket: int, order: Order) -> None: ...

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        """What has ended by now; waits for it, at most so long."""

    def cancel(self, ticket: int, reason: str) -> None:
        """Stop an order as Ctrl-C does; it ends with the outcome `cancelled`."""

    def spend_no_more(self, ticket: int, reason: str) -> None:
        """Stop the agent of an order because money is spent; it ends with the outcome `budget`."""

    def kill(self, ticket: int) -> None:
        """End the order's executor; the order will be lost."""
