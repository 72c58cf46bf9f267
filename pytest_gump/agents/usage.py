"""Tokens and cost of an attempt, and sums over attempts. Reports import this module without the rest of `agents`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.units import format_usd_sum, round_usd

if TYPE_CHECKING:
    from collections.abc import Iterable

Provenance = Literal["reported", "estimated", "unknown"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counters that do not overlap; their sum is the total."""

    input: int = 0
    """Without tokens read from or written to a cache."""
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    """Without reasoning."""
    reasoning: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )

    @property
    def read(self) -> int:
        """All tokens that the model read; for one answer, the size of its context."""
        return self.input + self.cache_read + self.cache_write

    @property
    def written(self) -> int:
        return self.output + self.reasoning

    def suffice(self, answers: int) -> bool:
        """False if they cannot be those of this many answers. Each answer reads a prompt and writes a token or more."""
        return not answers or (self.read > 0 and self.written >= answers)

    @property
    def total(self) -> int:
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one attempt. `cost_usd` is None if and only if `provenance` is `unknown`."""

    tokens: Tokens = Tokens()
    cost_usd: float | None = None
    provenance: Provenance = "unknown"
    turns: int = 0
    """Answers of the model, counted in the same way for every CLI."""
    tool_calls: int = 0
    context_tokens: int = 0
    """Largest context of an answer in the main conversation; 0 if the CLI does not report it."""

    @classmethod
    def estimated(cls, tokens: Tokens, cost_usd: float | None, *counts: int) -> Usage:
        """Return usage with an estimated cost (None: unknown). `counts` are turns, tool calls and context tokens."""
        return cls(tokens, cost_usd, "unknown" if cost_usd is None else "estimated", *counts)

    @property
    def is_estimated(self) -> bool:
        return self.provenance == "estimated"

    @property
    def is_credible(self) -> bool:
        """False for a cost of 0, or a cost computed from tokens, with fewer tokens than the answers must have."""
        if self.cost_usd is None or (self.provenance == "reported" and self.cost_usd > 0):
            return True
        return self.tokens.suffice(self.turns)

    @property
    def recorded(self) -> Usage:
        """This usage as results keep it: with a rounded cost, or an unknown cost if it is not credible."""
        if not self.is_credible:
            return replace(self, cost_usd=None, provenance="unknown")
        return replace(self, cost_usd=None if self.cost_usd is None else round_usd(self.cost_usd))

    @property
    def is_empty(self) -> bool:
        """True if no usage is known."""
        return not (self.turns or self.tokens.total or self.cost_usd)


NOTHING_USED = Usage(cost_usd=0.0, provenance="reported")
"""Usage of an attempt whose agent was not started."""


def worst_provenance(usages: Iterable[Usage]) -> Provenance | None:
    """Return the provenance of the sum of several usages; None if there are none."""
    found = {usage.provenance for usage in usages}
    worst_first: tuple[Provenance, ...] = ("unknown", "estimated", "reported")
    return next((provenance for provenance in worst_first if provenance in found), None)


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over attempts. `cost_usd` is the sum of known costs; `unknown` counts the attempts with unknown cost.

    `presumed_usd` is the highest possible cost of the latter, where a budget counts it.
    """

    attempts: int = 0
    cost_usd: float = 0.0
    estimated: bool = False
    unknown: int = 0
    tokens: Tokens = Tokens()
    turns: int = 0
    tool_calls: int = 0
    context_tokens: int = 0
    """The maximum, not the sum."""
    duration_s: float = 0.0
    presumed_usd: float = 0.0

    @property
    def bound_usd(self) -> float:
        """Cost that budgets count: known and presumed."""
        return self.cost_usd + self.presumed_usd

    @property
    def cost_text(self) -> str:
        return format_usd_sum(self.cost_usd, estimated=self.estimated, has_unknown=self.unknown > 0)

    def plus(self, usage: Usage, duration_s: float, *, unknown: bool, presumed_usd: float = 0.0) -> Total:
        return Total(
            attempts=self.attempts + 1,
            cost_usd=round(self.cost_usd + (usage.cost_usd or 0.0), _FINEST_DIGITS),
            estimated=self.estimated or usage.is_estimated,
            unknown=self.unknown + unknown,
            tokens=self.tokens + usage.tokens,
            turns=self.turns + usage.turns,
            tool_calls=self.tool_calls + usage.tool_calls,
            context_tokens=max(self.context_tokens, usage.context_tokens),
            duration_s=self.duration_s + duration_s,
            presumed_usd=self.presumed_usd + presumed_usd,
        )


_FINEST_DIGITS: Final = 9
"""A sum is rounded to these decimals: as binary fractions, $0.70, $0.20 and $0.10 are less than $1."""

NOTHING: Final = Total()
_CUT: Final = ("crashed", "cancelled")
"""Outcomes by name, so that lists of runs do not import the module of orders and results."""


def is_unknown(usage: Usage, outcome: str = "") -> bool:
    """True if an attempt may have a cost that was not reported.

    An agent that ended by itself and reported no usage cost nothing; for example, it could not log in.
    """
    was_cut = outcome in _CUT
    return usage.cost_usd is None and (was_cut or not usage.is_empty)
