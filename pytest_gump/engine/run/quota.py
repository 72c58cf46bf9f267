"""Handle usage limits of agent accounts: wait, use another agent, or stop.

An attempt that reached a limit does not count as a failure of the step. It is repeated under its own number and does
not use up a retry.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_gump.agents.streams.resets import sane
from pytest_gump.order import Outcome
from pytest_gump.settings.settings import STOP, WAIT
from pytest_gump.units import clock_text, format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.run.order_builder import RunInputs
    from pytest_gump.engine.schedule.records import Ready
    from pytest_gump.order import AttemptResult, Order
    from pytest_gump.settings.settings import Settings

FIRST_S: Final = 60.0
"""Wait before the first repetition if the end of the limit is unknown; each further wait is twice as long."""
LONGEST_S: Final = 3600.0
"""Longest of these waits."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The attempt is repeated."""

    verdict: Literal["waited", "failover"]
    why: str
    agent: str | None = None
    """Agent that repeats it in a fresh conversation; None: the same agent, with the same order."""
    until: float | None = None
    """Earliest time of the repetition, in seconds since the epoch."""


class Limited(NamedTuple):
    """An attempt that reached a limit."""

    run_id: str
    agent: str
    cli: str
    began: float
    resets_at: float | None = None


def met_limit(inputs: RunInputs, record: RunRecord, ready: Ready, now: float) -> tuple[int, Limited | None]:
    """Return number and data of the step's newest attempt if it reached a limit of the next attempt's agent.

    Otherwise, the second value is None.
    """
    newest = next((attempt for attempt in reversed(record.attempts) if attempt.step == str(ready.path)), None)
    result = None if newest is None else newest.result
    if newest is None or result is None or newest.agent != ready.agent or newest.agent is None:
        return 0, None
    if result.outcome is not Outcome.QUOTA:
        return 0, None
    cli, resets_at = inputs.cli_of(newest.agent), sane(result.resets_at, now)
    return newest.number, Limited(inputs.run_id, newest.agent, cli, newest.started, resets_at)


class Quota:
    """The usage limits of a session's CLIs. All runs of the session share the accounts."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._policy = settings.on_quota
        self._most_s = settings.quota_wait_s
        self._margin_s = settings.quota_margin_s
        self._clock = clock
        self._until: dict[str, float] = {}
        """End of the current wait, by CLI."""
        self._hits: dict[str, int] = {}
        """Number of consecutive limits, by CLI."""
        self._over: dict[str, float] = {}
        """End of the newest wait, by CLI, even if it is over."""
        self._waited_s: dict[str, float] = {}
        """Sum of all waits, including the current one, by run."""

    def decide(self, limited: Limited) -> Repeat | str:
        """Return how the attempt is repeated, or why the run ends."""
        if self._policy == WAIT:
            return self._wait(limited)
        if self._policy == STOP:
            return f"{self._stated_end(limited)}pytest --gump-resume continues the run"
        if limited.agent == self._policy:
            return f"{limited.agent} has no quota left either; pytest --gump-resume continues the run"
        return Repeat("failover", f"failover to {self._policy}", self._policy)

    def again(self, order: Order, result: AttemptResult, agent: str, cli: str, now: float) -> Repeat | str:
        """Like `decide`, for an order. The repetition does not continue a conversation that the attempt has changed."""
        resets_at = sane(result.resets_at, now)
        again = self.decide(Limited(order.run_id, agent, cli, result.timings.started, resets_at))
        has_continued = order.session is not None and not order.fork and result.usage.turns > 0
        if isinstance(again, Repeat) and again.agent is None and has_continued:
            # The conversation now includes turns about work that is discarded: the repetition starts a new one.
            return replace(again, agent=agent)
        return again

    def recall(self, limited: Limited) -> Repeat | str | None:
        """Decide for a resumed run about a limit that an earlier session reached.

        Return the wait until the stated end, or a message with that end if the run does not wait. Return None if the
        end is unknown or has passed.
        """
        now = self._clock()
        if limited.resets_at is None or limited.resets_at <= now:
            return None
        again = self._wait(limited) if self._policy == WAIT else ""
        stated = f"{limited.cli} reported that its limit lasts until {clock_text(limited.resets_at, now)}"
        return again if isinstance(again, Repeat) else stated

    def is_free(self, cli: str) -> bool:
        """True if attempts of the CLI may start now."""
        return cli not in self._until

    def passed(self, cli: str) -> None:
        """Reset the CLI's count of consecutive limits, because the provider has answered an attempt."""
        self._hits.pop(cli, None)

    def waits(self) -> Iterator[tuple[str, float]]:
        """Yield the CLIs whose attempts wait, each with the remaining seconds."""
        now = self._clock()
        return ((cli, max(0.0, until - now)) for cli, until in self._until.items())

    def end_waits(self) -> bool:
        """Remove the waits that are over; return True if there were any."""
        now = self._clock()
        over = [cli for cli, until in self._until.items() if until <= now]
        for cli in over:
            del self._until[cli]
        return bool(over)

    def _stated_end(self, limited: Limited) -> str:
        if limited.resets_at is None:
            return ""
        return f"the limit lasts until {clock_text(limited.resets_at, self._clock())}; "

    # -- waiting -------------------------------------------------------------------------------------------------

    def _wait(self, limited: Limited) -> Repeat | str:
        now, cli = self._clock(), limited.cli
        if cli not in self._hits or limited.began >= self._over.get(cli, 0.0):  # else: the same limit again
            self._hits[cli] = self._hits.get(cli, 0) + 1
        until = max(now + self._pause_s(limited, now), self._until.get(cli, 0.0))
        more = until - max(now, self._until.get(cli, 0.0))
        total = self._waited_s.get(limited.run_id, 0.0) + more
        if total > self._most_s:
            return (
                f"{self._stated_end(limited)}gump_quota_wait allows {format_duration(self._most_s)} of waiting in "
                "total; pytest --gump-resume continues the run"
            )
        self._until[cli] = self._over[cli] = until
        self._waited_s[limited.run_id] = total
        return Repeat("waited", f"waits for the limit of {cli} until {clock_text(until, now)}", until=until)

    def _pause_s(self, limited: Limited, now: float) -> float:
        """Return the wait until the stated end plus a margin, with exponential back-off if it is unknown or wrong."""
        hits = self._hits[limited.cli]
        stated = limited.resets_at
        step = hits - 1 if stated is None else hits - 2
        backoff = 0.0 if step < 0 else min(FIRST_S * 2.0 ** min(step, 20), LONGEST_S)
        return backoff if stated is None else max(backoff, stated - now + self._margin_s, self._margin_s)
