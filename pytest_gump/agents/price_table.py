"""The price table of this package, and the lookup of a model by its name.

`tools/make_price_table.py` generates `price_table.json` from genai-prices. Names match as in genai-prices.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.agents.usage import Tokens

COMPACT_DATE: Final = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
MILLION: Final = 1_000_000


class Priced(NamedTuple):
    """The cost of tokens, and the table entry that it comes from."""

    cost_usd: float
    provider: str
    model: str
    context_window: int | None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_name("price_table.json").read_text(encoding="utf-8"))
    return table


def version() -> str:
    """Return the date of the table and its source."""
    return f"price table {_table()['date']} ({_table()['source']})"


def look_up(name: str, provider: str | None, tokens: Tokens) -> Priced | None:
    """Return the price of tokens; None if the model is unknown.

    Without `provider`, the first provider whose patterns match the name is used.
    """
    found = _find(name.lower(), provider)
    return found and Priced(_cost(found[1], tokens), found[0], found[1]["id"], found[1].get("context"))


@cache
def _find(name: str, provider: str | None) -> tuple[str, dict[str, Any]] | None:
    """Return the provider and the entry of a model. A date without dashes is also tried with dashes."""
    for known in _table()["providers"]:
        if known["id"] == provider or (provider is None and known["match"] and _matches(known["match"], name)):
            names = dict.fromkeys((name, COMPACT_DATE.sub(r"-\1-\2-\3", name)))
            entries = (entry for form in names for entry in known["models"] if _matches(entry["match"], form))
            entry = next(entries, None)
            return entry and (known["id"], entry)
    return None


_CLAUSES: Final[dict[str, Callable[[Any, str], bool]]] = {
    "equals": lambda text, name: name == text,
    "starts_with": lambda text, name: name.startswith(text),
    "ends_with": lambda text, name: name.endswith(text),
    "contains": lambda text, name: text in name,
    "regex": lambda pattern, name: re.search(pattern, name) is not None,
    "or": lambda clauses, name: any(_matches(clause, name) for clause in clauses),
    "and": lambda clauses, name: all(_matches(clause, name) for clause in clauses),
}


def _matches(clause: dict[str, Any], name: str) -> bool:
    ((kind, value),) = clause.items()
    return _CLAUSES[kind](value, name)


def _cost(entry: dict[str, Any], tokens: Tokens) -> float:
    """Return the cost in dollars. Cached tokens without a price of their own cost as much as input."""
    total = tokens.read
    cached = {"cache_read": tokens.cache_read, "cache_write": tokens.cache_write}
    counts = {kind: count for kind, count in cached.items() if kind in entry}
    counts["input"] = total - sum(counts.values())
    counts["output"] = tokens.written
    return sum(count * _price(entry.get(kind, 0), total) for kind, count in counts.items()) / MILLION


def _price(price: float | list[list[float]], total: int) -> float:
    """Return dollars per million tokens. Above a threshold of input, the higher price applies to all tokens."""
    if not isinstance(price, list):
        return price
    return next(value for start, value in reversed(price) if total > start or start == 0)
