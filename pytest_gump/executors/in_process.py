"""The executor of a session without workers: this process."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.executors.protocol import Finished, Lost
from pytest_gump.system.processes.session_clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_gump.engine.attempt.tools import AttemptEvent
    from pytest_gump.executors.protocol import CarryOut
    from pytest_gump.order import Order


class InProcessExecutor:
    """Carries out one order at a time, when its result is fetched."""

    def __init__(self, carry_out: Mapping[str, CarryOut]) -> None:
        self._carry_out = carry_out
        """By run id."""
        self._waiting: list[Finished | Lost] = []
        self._spent: dict[int, str] = {}
        self._listen: Callable[[int, AttemptEvent], None] | None = None

    def set_listener(self, listen: Callable[[int, AttemptEvent], None]) -> None:
        """Set the function that gets the events of running attempts."""
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
        get_result = partial(self._carry_out[order.run_id], ticket, order, listen, asked)
        self._waiting.append(Finished(ticket, get_result, is_over=False))

    def wait(self, timeout_s: float) -> Sequence[Finished | Lost]:
        if not self._waiting:  # an agent's account is at a limit
            with CLOCK.waiting(timeout_s):
                time.sleep(timeout_s)
        waiting, self._waiting = self._waiting, []
        return waiting

    def cancel(self, ticket: int, reason: str) -> None:
        """Report a waiting order as lost. None is running now, because orders run only while a result is fetched."""
        self._waiting = [Lost(ticket, reason) if arrival.ticket == ticket else arrival for arrival in self._waiting]

    def spend_no_more(self, ticket: int, reason: str) -> None:
        self._spent[ticket] = reason

    def kill(self, ticket: int) -> None:
        """Do nothing: the executor is this process."""


def _nobody_listens(_ticket: int, _event: AttemptEvent) -> None:
    return
