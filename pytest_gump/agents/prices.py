"""What tokens cost, by the table that comes with genai-prices.

The table is the one in the installed package: nothing is fetched, `UpdatePrices` is never started.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.base import Tokens, Usage

if TYPE_CHECKING:
    from pytest_gump.agents.base import Provenance

PACKAGE: Final = "genai-prices"


def estimate(model: str | None, tokens: Tokens) -> float | None:
    """Price tokens in dollars; None when the model is not in the table.

    The first call imports the table (about a quarter of a second).
    """
    if not model:
        return None
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    usage = PricedUsage(
        input_tokens=tokens.input + tokens.cache_read + tokens.cache_write,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        output_tokens=tokens.output + tokens.reasoning,
    )
    try:
        return float(calc_price(usage, model_ref=model).total_price)
    except (LookupError, ValueError):
        return None


def provenance(model: str | None) -> Provenance:
    """Whether the cost of the model's answers can be estimated."""
    return "unknown" if estimate(model, Tokens(input=1000)) is None else "estimated"


def context_window(model: str | None) -> int | None:
    """How many tokens the model can read, as far as the table knows."""
    if not model:
        return None
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    try:
        return calc_price(PricedUsage(input_tokens=1), model_ref=model).model.context_window
    except (LookupError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars for one token of each kind."""

    input: float
    cache_read: float
    cache_write: float
    output: float

    def of(self, tokens: Tokens) -> float:
        return (
            tokens.input * self.input
            + tokens.cache_read * self.cache_read
            + tokens.cache_write * self.cache_write
            + (tokens.output + tokens.reasoning) * self.output
        )


LINEAR_TOKENS: Final = 128_000
"""Input up to which the price of a model is checked to be linear; providers ask more for a longer context."""


@cache
def rates(model: str | None) -> Rates | None:
    """The rates of a model for answers with at most `LINEAR_TOKENS` of input, for pricing a stream while it runs.

    None when the model is not in the table, or its price is not linear there.
    """
    size = LINEAR_TOKENS
    kinds = (Tokens(input=size), Tokens(cache_read=size), Tokens(cache_write=size), Tokens(output=size))
    costs = [estimate(model, tokens) for tokens in kinds]
    one = estimate(model, Tokens(input=1000))
    if None in costs or one is None or not math.isclose((costs[0] or 0.0) / size, one / 1000):
        return None
    return Rates(*((cost or 0.0) / size for cost in costs))


def estimate_answer(model: str | None, tokens: Tokens) -> float | None:
    """Price one answer as `estimate` does, in a fraction of its time."""
    rate = rates(model) if tokens.input + tokens.cache_read + tokens.cache_write <= LINEAR_TOKENS else None
    if rate is None:
        return estimate(model, tokens)
    return rate.of(tokens)


def estimate_answers(model: str | None, tokens: Tokens, answers: int) -> float | None:
    """Price the sum of several answers: a dearer rate for long contexts goes by one answer, not by their sum."""
    if answers <= 1:
        return estimate_answer(model, tokens)
    counts = (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output, tokens.reasoning)
    mean = Tokens(*(count // answers for count in counts))
    rate = rates(model) if mean.input + mean.cache_read + mean.cache_write <= LINEAR_TOKENS else None
    if rate is None:
        one = estimate(model, mean)
        return None if one is None else one * answers
    return rate.of(tokens)


def estimated_usage(model: str | None, tokens: Tokens, *, turns: int = 0, tool_calls: int = 0) -> Usage:
    cost_usd = estimate(model, tokens)
    provenance: Provenance = "unknown" if cost_usd is None else "estimated"
    return Usage(tokens, cost_usd, provenance, turns, tool_calls)


@cache
def table_version() -> str:
    """Name and version of the price table, for the report: its release is its date."""
    from importlib import metadata

    return f"{PACKAGE} {metadata.version(PACKAGE)}"
