"""What tokens cost, by the table that comes with genai-prices.

The table is the one in the installed package: nothing is fetched, `UpdatePrices` is never started.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
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


@cache
def output_rate(model: str | None) -> float | None:
    """Dollars for one token of output, without surcharges for a long context."""
    million = estimate(model, Tokens(output=1_000_000))
    return None if million is None else million / 1_000_000


def estimated_usage(model: str | None, tokens: Tokens, *, turns: int = 0, tool_calls: int = 0) -> Usage:
    cost_usd = estimate(model, tokens)
    provenance: Provenance = "unknown" if cost_usd is None else "estimated"
    return Usage(tokens, cost_usd, provenance, turns, tool_calls)


@cache
def table_version() -> str:
    """Name and version of the price table, for the report: its release is its date."""
    return f"{PACKAGE} {metadata.version(PACKAGE)}"
