"""Prices that the user sets, and models that the table lists under another name."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from pytest_gump.agents import prices, registry
from pytest_gump.agents.clis.codex_stream import CodexReader
from pytest_gump.agents.prices import Rates
from pytest_gump.agents.usage import Tokens

from tests.agents.recordings.codex import CODEX
from tests.agents.recordings.gemini import GEMINI
from tests.agents.recordings.qwen import QWEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agents.stream_kit import Recorded

CODEX_WITHOUT_PRICE = replace(CODEX, reader=partial(CodexReader, model="house"))
MILLION = Tokens(1_000_000, 1_000_000, 1_000_000, 1_000_000)


@pytest.fixture(autouse=True)
def _only_the_table() -> Iterator[None]:
    prices.use({})
    yield
    prices.use({})


@pytest.mark.parametrize("model", ["qwen3-coder", "qwen3-coder-plus", "openrouter/qwen/qwen3-coder-plus"])
def test_a_model_has_the_price_of_its_other_name_in_the_table(model: str) -> None:
    bare = model.rpartition("/")[2]
    assert prices.source(model) == f"{prices.table_version()}, openrouter qwen/{bare}"
    assert (prices.estimate(model, MILLION) or 0) > 0
    assert (prices.rates(model) or Rates(0, 0, 0, 0)).price(MILLION) == pytest.approx(prices.estimate(model, MILLION))


@pytest.mark.parametrize("name", ["house-7b", "House-7B", "provider/house-7b", "claude-sonnet-4-5"])
def test_a_price_of_the_user_overrides_the_table(name: str) -> None:
    prices.use({"house-7b": Rates.of_million(1, 2, 3, 4), "claude-sonnet-4-5": Rates.of_million(1, 2, 3, 4)})
    assert prices.estimate(name, MILLION) == pytest.approx(10)
    assert prices.estimate_answers(name, MILLION, 2) == pytest.approx(10)
    assert prices.source(name) == "gump_prices"


def test_setting_prices_replaces_all_earlier_prices() -> None:
    prices.use({"house-7b": Rates.of_million(1, 1, 1, 1)})
    assert prices.rates("house-7b") is not None
    prices.use({"other": Rates.of_million(1, 1, 1, 1)})
    assert prices.rates("house-7b") is None
    assert prices.source("house-7b") is None


@pytest.mark.parametrize("name", ["codex", "gemini", "qwen", "qwen-local"])
def test_a_price_for_a_cli_applies_if_its_model_has_no_price(name: str) -> None:
    assert registry.resolve(name).cost == "unknown"
    prices.use({name.partition("-")[0]: Rates.of_million(1, 2, 0.1, 1)})
    assert registry.resolve(name).cost == "estimated"
    assert prices.priced_as("gpt-5.4", name.partition("-")[0]) == "gpt-5.4"


@pytest.mark.parametrize("recorded", [CODEX_WITHOUT_PRICE, QWEN, GEMINI], ids=lambda recorded: recorded.cli)
def test_an_unpriced_model_is_estimated_with_the_price_of_its_cli(recorded: Recorded) -> None:
    lines = [
        line.replace(b"qwen3-coder-plus", b"house").replace(b"gemini-2.5-pro", b"house")
        for line in recorded.lines("basic")
    ]
    assert recorded.end(lines).usage.provenance == "unknown"
    prices.use({recorded.cli: Rates.of_million(1, 1, 0.1, 1)})
    usage = recorded.end(lines).usage
    assert usage.provenance == "estimated"
    fresh = usage.tokens.total - usage.tokens.cache_read
    assert usage.cost_usd == pytest.approx((fresh + usage.tokens.cache_read / 10) / 1e6)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("codex", "its CLI chooses the model: name one, or set a price for 'codex' in gump_prices"),
        ("qwen:house", "the price table has no price for 'house': set one in gump_prices"),
        ("cursor-gpt5", "Cursor bills by its own plan"),
        ("own", "the price table has no price for 'house': set one in gump_prices"),
    ],
)
def test_the_reason_for_an_unknown_cost_says_how_to_set_a_price(name: str, reason: str) -> None:
    assert registry.why_unknown(registry.resolve(name, {"own": "codex:house env:A=b"})) == reason
