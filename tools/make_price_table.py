"""Write the price table of the package, from the installed genai-prices.

    .venv/bin/python tools/make_price_table.py 2026-11-29 > pytest_gump/agents/price_table.json

The date selects one of several dated prices. If a price depends on the hour, the one of 02:00 UTC is used, because
DeepSeek then charges its higher price. The table contains names and figures, but no descriptions and links.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, time
from importlib import metadata
from typing import Any

from genai_prices.data import providers

KINDS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}
BY_NAME_ONLY = {"openrouter": "qwen/"}
"""Providers that are not found by the name of a model, with the prefix of the models to include; see `RESELLERS` in
prices.py.
"""


def clause(match: Any) -> dict[str, Any]:
    ((kind, value),) = vars(match).items()
    if kind in {"or_", "and_"}:
        return {kind.rstrip("_"): [clause(one) for one in value]}
    return {kind: value if kind == "regex" else value.lower()}


def price(found: Any) -> Any:
    if not hasattr(found, "tiers"):
        return float(found)
    return [[0, float(found.base)], *([tier.start, float(tier.price)] for tier in found.tiers)]


def model(info: Any, at: datetime) -> dict[str, Any]:
    prices = info.get_prices(at)
    known = {kind: found for kind, key in KINDS.items() if (found := getattr(prices, key)) is not None}
    window = {"context": info.context_window} if info.context_window else {}
    return {"id": info.id, "match": clause(info.match), **window, **{kind: price(one) for kind, one in known.items()}}


def main(day: str) -> None:
    at = datetime.combine(datetime.fromisoformat(day), time(2), tzinfo=UTC)
    head = {
        "date": day,
        "source": f"genai-prices {metadata.version('genai-prices')}",
        "licence": "MIT",
        "unit": "dollars per million tokens",
    }
    rows = []
    for provider in providers:
        start = BY_NAME_ONLY.get(provider.id)
        if provider.model_match is None and start is None:
            continue
        models = [
            json.dumps(model(one, at), separators=(",", ":"))
            for one in provider.models
            if one.id.startswith(start or "")
        ]
        match = json.dumps(clause(provider.model_match) if provider.model_match else None)
        rows.append(f'{{"id":"{provider.id}","match":{match},"models":[\n' + ",\n".join(models) + "\n]}")
    print(json.dumps(head)[:-1] + ', "providers": [\n' + ",\n".join(rows) + "\n]}")


if __name__ == "__main__":
    main(sys.argv[1])
