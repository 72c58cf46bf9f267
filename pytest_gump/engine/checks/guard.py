"""Limits that are checked while an agent works. Pure: events and times in, a breach out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.agents.base import ToolCall, Turn, UsageSeen
from pytest_gump.units import format_duration, format_usd

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.base import Ending, Event
    from pytest_gump.agents.usage import Usage
    from pytest_gump.order import Limits

GuardName = Literal["max_turns", "max_budget", "max_tokens", "max_time", "silence", "no_write"]


class Breach(NamedTuple):
    guard: GuardName
    reason: str
    """One line with the value and the limit."""
    is_shared: bool = False
    """True for a limit of the run or a group, reached by all its running attempts together."""


def shared_breach(reason: str) -> Breach:
    """Return the breach of a limit of the run or a group. The first limit named in `reason` is its guard."""
    limits: tuple[GuardName, ...] = ("max_budget", "max_tokens", "max_time")
    named = [name for name in limits if name in reason]
    return Breach(min(named, key=reason.index, default="max_budget"), reason, is_shared=True)


class GuardWatch:
    """Checks the limits of one attempt; its clock starts when the object is created.

    `may_write` returns True if the path of a writing tool call is the file that the step must deliver.
    """

    def __init__(self, limits: Limits, *, may_write: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._limits = limits
        self._may_write = may_write
        self._clock = clock
        self._began = self._output_at = clock()
        self._longest_silence_s = 0.0

    def on_output(self) -> None:
        """Reset the silence guard; called for any output, even for a line that the adapter does not understand."""
        now = self._clock()
        self._longest_silence_s = max(self._longest_silence_s, now - self._output_at)
        self._output_at = now

    @property
    def longest_silence_s(self) -> float:
        return max(self._longest_silence_s, self.silent_s)

    @property
    def silent_s(self) -> float:
        """Seconds without output."""
        return self._clock() - self._output_at

    def feed(self, event: Event) -> Breach | None:
        match event:
            case Turn(number=number):
                return self._turn(number)
            case UsageSeen(usage=usage):
                return self.spent(usage)
            case ToolCall(path=str() as path) if self._limits.no_write and not self._may_write(path):
                return Breach("no_write", f"guard no_write: {event.tool} writes {path!r}")
            case _:
                return None

    def tick(self) -> Breach | None:
        """Check the time limits; called several times a second."""
        now = self._clock()
        limits = self._limits
        if limits.max_time_s is not None and now - self._began >= limits.max_time_s:
            limit = whose("max_time", limits.time_scope, limits.time_of)
            total = format_duration(limits.time_spent_s + limits.max_time_s)
            return Breach("max_time", f"{limit}: still running after {total}")
        if limits.silence_s is not None and now - self._output_at >= limits.silence_s:
            return Breach("silence", f"guard silence: printed nothing for {format_duration(limits.silence_s)}")
        return None

    def spent(self, usage: Usage) -> Breach | None:
        """Check the total usage; also called with the final total, after the CLI has ended."""
        limits, cost = self._limits, usage.cost_usd
        if limits.max_budget is not None and cost is not None and cost > limits.max_budget:
            name = whose("max_budget", limits.budget_scope, limits.budget_of)
            spent = format_usd(limits.budget_spent + cost, estimated=usage.is_estimated)
            limit = format_usd(limits.budget_spent + limits.max_budget)
            return Breach("max_budget", f"{name}: {spent} spent of {limit}")
        if limits.max_tokens is not None and usage.tokens.total > limits.max_tokens:
            name = whose("max_tokens", limits.tokens_scope, limits.tokens_of)
            used, allowed = limits.tokens_spent + usage.tokens.total, limits.tokens_spent + limits.max_tokens
            return Breach("max_tokens", f"{name}: {used} tokens of {allowed}")
        return None

    def _turn(self, number: int) -> Breach | None:
        limit = self._limits.max_turns
        if limit is None or number <= limit:
            return None
        return Breach("max_turns", f"guard max_turns: turn {number} began, {limit} are allowed")

    def limit_of_cli(self, ending: Ending) -> Breach | None:
        """Return the breach of a limit that the CLI itself enforced, or None."""
        if ending.limit is None:
            return None
        limits = self._limits
        scope, owner = (limits.budget_scope, limits.budget_of) if ending.limit == "max_budget" else ("guard", "")
        return Breach(ending.limit, f"{whose(ending.limit, scope, owner)}: {ending.reason}")


def whose(name: GuardName, scope: str, owner: str = "") -> str:
    """Return for example `guard max_budget`, `the run's max_budget` or `max_budget of build::review`."""
    if owner:
        return f"{name} of {owner}"
    return f"guard {name}" if scope == "guard" else f"the {scope}'s {name}"
