"""Who carries out orders: this process, or workers. The order loop knows this protocol only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pytest_gump.errors import GumpError
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.engine.attempt.tools import Heard
    from pytest_gump.order import AttemptResult, Order

    CarryOut = Callable[[int, Order, Callable[[Heard], None], Callable[[], str | None]], AttemptResult]
    """Carries out the order of a ticket: who is told of events, and who is asked whether its agent must stop."""


class WorkerFault(GumpError):  # noqa: N818 - it is told as text, never as an error of ours
    """What an attempt raised on its worker; the first line says it, the rest is where."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An order that came to its end."""

    ticket: int
    outcome: Callable[[], AttemptResult]
    """Gives the result, or raises what the attempt raised; to be called once."""
    is_over: bool = True
    """False: `outcome` carries the order out."""


@dataclass(frozen=True, slots=True)
class Lost:
    """An order whose executor is gone."""

    ticket: int
    why: str
    is_away: bool = False
    """Its files are where nobody reads them any more."""
    is_quiet: bool = True
    """False: something that it started may still live in its worktree."""


class Executors(Protocol):
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


class InProcess:
    """This process: an order is carried out when its outcome is asked for, one at a time."""

    def __init__(self, carry_out: Mapping[str, CarryOut]) -> None:
        self._carry_out = carry_out
        """By run id."""
        self._waiting: list[Finished | Lost] = []
        self._spent: dict[int, str] = {}
        self._listen: Callable[[int, Heard], None] | None = None

    def tell(self, listen: Callable[[int, Heard], None]) -> None:
        """Say who wants to hear of attempts while they go on."""
        self._listen = listen

    @property
    def free(self) -> int:
        return 0 if self._waiting else 1

    @property
    def gone(self) -> str | None:
        return None

    def start(self, ticket: int, order: Order) -> None:
        listen = partial(self._listen or _nobody_listens, ticket)
        asked = partial(self._spent.get, ticket)
        outcome = partial(self._carry_out[order.run_id], ticket, order, listen, asked)
        self._waiting.append(Finished(ticket, outcome, is_over=False))

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        if not self._waiting:  # an agent's account is at a limit
            with CLOCK.waiting(timeout_s):
                time.sleep(timeout_s)
        waiting, self._waiting = self._waiting, []
        return waiting

    def cancel(self, ticket: int, reason: str) -> None:
        """What waits has not begun: nothing runs while anybody could ask."""
        self._waiting = [Lost(ticket, reason) if one.ticket == ticket else one for one in self._waiting]

    def spend_no_more(self, ticket: int, reason: str) -> None:
        self._spent[ticket] = reason

    def kill(self, ticket: int) -> None:
        """Ours is the only executor."""


def _nobody_listens(_ticket: int, _event: Heard) -> None:
    return
