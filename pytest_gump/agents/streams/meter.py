"""Usage of an attempt so far: sums over the answers of a model, and growth of running totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents.usage import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.usage import Provenance


class Meter:
    """Tokens and dollars of the answers so far. The cost is None once an answer has an unknown cost."""

    __slots__ = (
        "_cache_read", "_cache_write", "_input", "_is_estimated", "_output", "_reasoning", "answers", "cost_usd"
    )  # fmt: skip

    def __init__(self) -> None:
        self.answers = 0
        self.cost_usd: float | None = 0.0
        self._input = self._cache_read = self._cache_write = self._output = self._reasoning = 0
        self._is_estimated = False

    def add(self, tokens: Tokens, cost_usd: float | None, *, is_estimated: bool = True) -> None:
        """Count an answer."""
        self.answers += 1
        self._input += tokens.input
        self._cache_read += tokens.cache_read
        self._cache_write += tokens.cache_write
        self._reasoning += tokens.reasoning
        self._is_estimated = self._is_estimated or is_estimated
        self.grow(tokens.output, cost_usd)

    def grow(self, output: int, cost_usd: float | None) -> None:
        """Count more output of an answer that was added before."""
        self._output += output
        self.cost_usd = None if self.cost_usd is None or cost_usd is None else self.cost_usd + cost_usd

    @property
    def tokens(self) -> Tokens:
        return Tokens(self._input, self._cache_read, self._cache_write, self._output, self._reasoning)

    @property
    def provenance(self) -> Provenance:
        if self.cost_usd is None:
            return "unknown"
        return "estimated" if self._is_estimated else "reported"


def each(combine: Callable[[int, int], int], left: Tokens, right: Tokens) -> Tokens:
    """Combine two counters of each kind."""
    return Tokens(
        combine(left.input, right.input),
        combine(left.cache_read, right.cache_read),
        combine(left.cache_write, right.cache_write),
        combine(left.output, right.output),
        combine(left.reasoning, right.reasoning),
    )


def grown(total: float, before: float | None) -> float:
    """Return the growth of a running total. If it is below the earlier total, it has restarted from 0."""
    return total if before is None or total < before else total - before


def tokens_grown(total: Tokens, before: Tokens) -> Tokens:
    return total if total.total < before.total else each(lambda now, then: max(0, now - then), total, before)
