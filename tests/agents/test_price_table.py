"""The shipped price table agrees with genai-prices, which the `dev` extra pins to the release of the table."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_gump.agents import installed_prices, price_table, prices
from pytest_gump.agents.usage import Tokens

FILE = Path(price_table.__file__).with_name("price_table.json")
TABLE = json.loads(FILE.read_text(encoding="utf-8"))
AT = datetime.combine(datetime.fromisoformat(TABLE["date"]), time(2), tzinfo=UTC)
SAMPLES = (
    Tokens(1000, 0, 0, 1000),
    Tokens(0, 1000, 0, 1),
    Tokens(0, 0, 1000, 1),
    Tokens(100_000, 50_000, 50_000, 1, 1),
    Tokens(200_001, 70_001, 30_001, 5000, 77),
    Tokens(999_000, 1, 1, 1),
)


def answers(name: str, provider: str | None, tokens: Tokens) -> tuple[object, object]:
    """Return cost, provider, model and window by our table and by genai-prices, at the date of the table."""
    ours = price_table.look_up(name, provider, tokens)
    usage = Usage(
        input_tokens=tokens.input + tokens.cache_read + tokens.cache_write,
        cache_read_tokens=tokens.cache_read,
        cache_write_tokens=tokens.cache_write,
        output_tokens=tokens.output + tokens.reasoning,
    )
    try:
        found = calc_price(usage, name, provider_id=provider, genai_request_timestamp=AT)
    except LookupError:
        return ours, None
    theirs = (pytest.approx(float(found.total_price)), found.provider.id, found.model.id, found.model.context_window)
    return ours and (ours.cost_usd, ours.provider, ours.model, ours.context_window), theirs


def examples_of(clause: dict[str, Any]) -> list[str]:
    """Return names that match a clause, with and without a prefix or suffix."""
    ((kind, value),) = clause.items()
    if kind in {"or", "and"}:
        return [name for one in value for name in examples_of(one)]
    if kind == "regex":
        value = value.strip("^$").replace("\\d{8}", "20260102").replace("\\.", ".").replace("[-@]", "-")
    return [
        f"{before}{value}{after}" for before in ("", "a-") for after in ("", "-20260102", "-2026-01-02", "-x", ":x")
    ]


ENTRIES = [(one["id"], entry) for one in TABLE["providers"] for entry in one["models"]]
NAMES = sorted(
    {
        (name, "openrouter" if provider == "openrouter" else None)
        for provider, entry in ENTRIES
        for name in (entry["id"], entry["id"].upper(), *examples_of(entry["match"]))
    },
    key=str,
)


def test_the_table_is_generated_from_the_installed_release() -> None:
    made = subprocess.run(
        [sys.executable, "tools/make_price_table.py", TABLE["date"]],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )
    assert made.stdout == FILE.read_bytes()
    assert TABLE["source"] == f"genai-prices {metadata.version('genai-prices')}"
    assert (TABLE["licence"], TABLE["unit"]) == ("MIT", "dollars per million tokens")


def test_each_name_in_the_table_has_the_price_of_genai_prices() -> None:
    assert len(NAMES) > 3000
    found = [answers(name, provider, SAMPLES[0]) for name, provider in NAMES]
    assert [(one, pair) for one, pair in zip(NAMES, found, strict=True) if pair[0] != pair[1]] == []
    assert sum(ours is not None for ours, _ in found) > 1500


@pytest.mark.parametrize("tokens", SAMPLES, ids=str)
def test_each_model_in_the_table_has_the_price_of_genai_prices(tokens: Tokens) -> None:
    for provider, entry in ENTRIES:
        ours, theirs = answers(entry["id"], "openrouter" if provider == "openrouter" else None, tokens)
        assert ours == theirs


COUNT = st.one_of(st.integers(0, 5000), st.integers(0, 1_500_000))


@given(one=st.sampled_from(NAMES), tokens=st.builds(Tokens, COUNT, COUNT, COUNT, COUNT, COUNT))
@example(one=("claude-sonnet-4-5", None), tokens=Tokens(200_000))
@example(one=("claude-sonnet-4-5", None), tokens=Tokens(200_001))
def test_any_tokens_have_the_price_of_genai_prices(one: tuple[str, str | None], tokens: Tokens) -> None:
    ours, theirs = answers(*one, tokens)
    assert ours == theirs


@given(name=st.one_of(st.text(max_size=20), st.from_regex(r"(gpt|claude|gemini|grok|o3|glm)[-a-z0-9./:]{0,12}")))
@example("gpt-5.2-20251211")
@example("anthropic/claude-sonnet-4-5-20250929")
@example("google/gemini-2.5-pro")
@example("CLAUDE-OPUS-4-6")
@example("accounts/fireworks/models/deepseek-v3")
@example("opus")
@example("house")
@example("gpt-")
@example("")
def test_any_name_has_the_price_of_genai_prices_or_none(name: str) -> None:
    ours, theirs = answers(name, None, Tokens(1000, 0, 0, 1000))
    assert ours == theirs


@pytest.mark.parametrize("name", ["house", "opus", "scripted-model", "gpt-", "claude-banana"])
def test_an_unknown_name_has_no_price(name: str) -> None:
    assert price_table.look_up(name, None, Tokens(1)) is None


def test_prices_come_from_genai_prices_if_it_is_installed() -> None:
    assert prices.table_version() == installed_prices.version() == TABLE["source"]


def test_prices_come_from_the_shipped_table_without_genai_prices() -> None:
    program = (
        "import sys; sys.modules['genai_prices'] = None\n"
        "from pytest_gump.agents import prices\n"
        "from pytest_gump.agents.base import Tokens\n"
        "names = ['anthropic/claude-sonnet-4-5', 'qwen3-coder', 'house']\n"
        "print([prices.estimate(one, Tokens(1_000_000)) for one in names])\n"
        "print(prices.context_window('claude-sonnet-4-5'), round(prices.rates('claude-sonnet-4-5').output * 1e6, 3))\n"
        "print(prices.table_version(), prices.source('qwen3-coder'), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    version = f"price table {TABLE['date']} ({TABLE['source']})"
    coder = next(entry for _, entry in ENTRIES if entry["id"] == "qwen/qwen3-coder")
    assert done.stdout.splitlines() == [
        f"[6.0, {coder['input']}, None]",
        "200000 15.0",
        version,
        f"{version}, openrouter qwen/qwen3-coder",
    ]
