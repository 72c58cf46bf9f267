"""Tokens and cost of an attempt. Apart from the agent protocol: reports of runs need no more of agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

Provenance = Literal["reported", "estimated", "unknown"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counters that do not overlap: their sum is all that was processed."""

    input: int = 0
    """Read fresh, not from a cache."""
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
        """All that the model had before it; of one answer, the length of its context."""
        return self.input + self.cache_read + self.cache_write

    @property
    def written(self) -> int:
        return self.output + self.reasoning

    @property
    def total(self) -> int:
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt consumed. `cost_usd` is None exactly when `provenance` is `unknown`."""

    tokens: Tokens = Tokens()
    cost_usd: float | None = None
    provenance: Provenance = "unknown"
    turns: int = 0
    """Answers of the model, counted alike for every CLI."""
    tool_calls: int = 0
    context_tokens: int = 0
    """The most that one answer of the main conversation had before it; 0 when the CLI does not tell."""

    @classmethod
    def estimated(cls, tokens: Tokens, cost_usd: float | None, *counts: int) -> Usage:
        """Usage whose cost was estimated; None: without success. `counts` are turns, tool calls, context tokens."""
        return cls(tokens, cost_usd, "unknown" if cost_usd is None else "estimated", *counts)

    @property
    def is_estimated(self) -> bool:
        return self.provenance == "estimated"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was used, as far as anybody knows."""
        return not (self.turns or self.tokens.total or self.cost_usd)


NOTHING_USED = Usage(cost_usd=0.0, provenance="reported")
"""Of an attempt whose agent was not started."""


def worst_provenance(usages: Iterable[Usage]) -> Provenance | None:
    """That of the sum of several usages; None for no usage."""
    found = {usage.provenance for usage in usages}
    worst_first: tuple[Provenance, ...] = ("unknown", "estimated", "reported")
    return next((provenance for provenance in worst_first if provenance in found), None)
