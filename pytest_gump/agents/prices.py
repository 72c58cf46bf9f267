"""The cost of tokens: from the user's own prices, then genai-prices if it is installed, then the built-in table."""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pytest_gump.agents import price_table
from pytest_gump.agents.price_table import MILLION
from pytest_gump.agents.usage import Tokens, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.agents.price_table import Priced
    from pytest_gump.agents.usage import Provenance

RESELLERS: Final = (("qwen", "openrouter", "qwen/"),)
"""Models that the table has only under another name: prefix, provider, and the text to put before the name."""

_MODELS: Final = 256
"""Size of each cache with models as keys. It is bounded because a stream may name a new model in every line."""


class Rates(NamedTuple):
    """Dollars per token of each kind."""

    input: float
    cache_read: float
    cache_write: float
    output: float

    @classmethod
    def of_million(cls, input_: float, output: float, cache_read: float, cache_write: float) -> Rates:
        """Return rates from dollars per million tokens."""
        return cls(input_ / MILLION, cache_read / MILLION, cache_write / MILLION, output / MILLION)

    def price(self, tokens: Tokens) -> float:
        return (
            tokens.input * self.input
            + tokens.cache_read * self.cache_read
            + tokens.cache_write * self.cache_write
            + tokens.written * self.output
        )


_own: Final[dict[str, Rates]] = {}
"""The user's own prices, by model or CLI in lower case."""


def use(own: Mapping[str, Rates]) -> None:
    """Set the user's own prices for this process; they replace earlier ones."""
    _own.clear()
    _own.update({name.lower(): price for name, price in own.items()})
    rates.cache_clear()


def priced_as(model: str | None, cli: str) -> str | None:
    """Return the name whose price applies: the CLI's if the user set a price for it and the model has none."""
    if cli in _own and estimate(model, Tokens(input=1)) is None:
        return cli
    return model


def estimate(model: str | None, tokens: Tokens) -> float | None:
    """Return the cost of tokens in dollars; None if the price of the model is unknown.

    If the user set no price for the model, the first call reads the table.
    """
    if (own := _own_rates(model)) is not None:
        return own.price(tokens)
    found = _look_up(model, tokens)
    return None if found is None else found.cost_usd


def _own_rates(model: str | None) -> Rates | None:
    return (_own.get(model.lower()) or _own.get(_without_provider(model).lower())) if model else None


def _without_provider(model: str) -> str:
    """Return `claude-sonnet-5` for `anthropic/claude-sonnet-5`."""
    return model.rpartition("/")[2]


class Table(Protocol):
    """A module with the prices of models."""

    def version(self) -> str: ...

    def look_up(self, name: str, provider: str | None, tokens: Tokens) -> Priced | None: ...


@cache
def _table() -> Table:
    """Return genai-prices if it can be imported, otherwise the built-in table."""
    try:
        from pytest_gump.agents import installed_prices
    except ImportError:
        return price_table
    return installed_prices


def _look_up(model: str | None, tokens: Tokens) -> Priced | None:
    """Return the table's price for these tokens; None if the model is not in the table."""
    name = _name_in_table(model) if model else None
    return None if name is None else _table().look_up(*name, tokens)


@lru_cache(maxsize=_MODELS)
def _name_in_table(model: str) -> tuple[str, str | None] | None:
    """Return a model's name in the table, and its provider if the lookup needs one; None if it is not there."""
    bare = _without_provider(model)
    resold = [(start + bare, provider) for prefix, provider, start in RESELLERS if bare.startswith(prefix)]
    names = ((bare, None), (model, None), *resold)
    return next((name for name in names if _table().look_up(*name, Tokens(input=1)) is not None), None)


def source(model: str | None) -> str | None:
    """Return where the price of a model comes from; None if it has none."""
    if _own_rates(model) is not None:
        return "gump_prices"
    found = _look_up(model, Tokens(input=1))
    if found is None:
        return None
    resold = any(found.provider == provider for _, provider, _ in RESELLERS)
    return f"{table_version()}, {found.provider} {found.model}" if resold else table_version()


def provenance(model: str | None) -> Provenance:
    """Return `estimated` if the model has a price, otherwise `unknown`."""
    return "unknown" if estimate(model, Tokens(input=1000)) is None else "estimated"


def context_window(model: str | None) -> int | None:
    """Return how many tokens the model can read; None if the table does not contain it."""
    found = _look_up(model, Tokens(input=1))
    return None if found is None else found.context_window


LINEAR_TOKENS: Final = 128_000
"""Size of the input up to which prices are checked to be linear; a longer context may cost more per token."""


@lru_cache(maxsize=_MODELS)
def rates(model: str | None) -> Rates | None:
    """Return the rates of a model for answers with at most `LINEAR_TOKENS` of input, to price a running stream.

    None if the model has no price, or if its price is not linear up to that size.
    """
    if (own := _own_rates(model)) is not None:
        return own
    size = LINEAR_TOKENS
    kinds = (Tokens(input=size), Tokens(cache_read=size), Tokens(cache_write=size), Tokens(output=size))
    costs = [estimate(model, tokens) for tokens in kinds]
    short = estimate(model, Tokens(input=1000))
    if None in costs or short is None or not math.isclose((costs[0] or 0.0) / size, short / 1000):
        return None
    return Rates(*((cost or 0.0) / size for cost in costs))


def estimate_answers(model: str | None, tokens: Tokens, answers: int = 1) -> float | None:
    """Like `estimate`, but for the sum of several answers and much faster.

    The higher rate for long contexts applies if the average answer is long; the size of the sum does not matter.
    """
    answer = tokens
    if answers > 1:
        counts = (tokens.input, tokens.cache_read, tokens.cache_write, tokens.output, tokens.reasoning)
        answer = Tokens(*(count // answers for count in counts))
    rate = rates(model) if answer.read <= LINEAR_TOKENS else None
    if rate is not None:
        return rate.price(tokens)
    cost_usd = estimate(model, answer)
    return None if cost_usd is None else cost_usd * max(1, answers)


def estimated_usage(model: str | None, tokens: Tokens, *, turns: int = 0, tool_calls: int = 0) -> Usage:
    return Usage.estimated(tokens, estimate(model, tokens), turns, tool_calls)


def table_version() -> str:
    """Return the name and version of the price table, for the report."""
    return _table().version()
