"""Prices from genai-prices, if it is installed (extra `prices`).

Importing this module imports the package, which takes about 0.2 s; without the package, it raises ImportError. The
prices are those in the installed package: nothing is downloaded, and `UpdatePrices` is never started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genai_prices import Usage, __version__, calc_price

from pytest_gump.agents.price_table import Priced

if TYPE_CHECKING:
    from pytest_gump.agents.usage import Tokens


def version() -> str:
    return f"genai-prices {__version__}"


def look_up(name: str, provider: str | None, tokens: Tokens) -> Priced | None:
    """Like `price_table.look_up`."""
    usage = Usage(
        input_tokens=tokens.read,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        output_tokens=tokens.written,
    )
    try:
        found = calc_price(usage, model_ref=name, provider_id=provider)
    except (LookupError, ValueError):
        return None
    return Priced(float(found.total_price), found.provider.id, found.model.id, found.model.context_window)
