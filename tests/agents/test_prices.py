from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_gump.agents import prices
from pytest_gump.agents.usage import Tokens


def test_an_estimate_equals_what_claude_code_reports_for_the_same_tokens() -> None:
    tokens = Tokens(input=3300, cache_read=1530, cache_write=600, output=153)
    assert prices.estimate("claude-sonnet-4-5", tokens) == pytest.approx(0.014904)


def test_reasoning_costs_what_output_costs() -> None:
    assert prices.estimate("claude-opus-4-6", Tokens(output=10)) == prices.estimate(
        "claude-opus-4-6", Tokens(output=4, reasoning=6)
    )


@pytest.mark.parametrize("model", [None, "", "scripted-model", "opus"])
def test_a_model_outside_the_table_has_no_price(model: str | None) -> None:
    assert prices.estimate(model, Tokens(input=10)) is None
    assert prices.rates(model) is None
    assert prices.estimate_answers(model, Tokens(input=10)) is None
    assert prices.estimated_usage(model, Tokens(input=10)).provenance == "unknown"


def test_a_model_without_a_price_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []

    class Table:
        @staticmethod
        def look_up(name: str, *_: object) -> None:
            names.append(name)

    monkeypatch.setattr(prices, "_table", lambda: Table)
    for _ in range(100):
        assert prices.estimate_answers("house/unpriced-7b", Tokens(input=10)) is None
        assert prices.estimate_answers("house/unpriced-7b", Tokens(input=prices.LINEAR_TOKENS + 1)) is None
    assert names == ["unpriced-7b", "house/unpriced-7b"]


def test_no_tokens_cost_nothing() -> None:
    assert prices.estimate("claude-sonnet-4-5", Tokens()) == 0


TOKENS = st.integers(0, 90_000)


@given(input_=TOKENS, cache_read=TOKENS, cache_write=TOKENS, output=TOKENS, reasoning=TOKENS)
@example(input_=150_000, cache_read=150_000, cache_write=0, output=1, reasoning=0)
def test_an_answer_has_the_price_of_the_table(
    input_: int, cache_read: int, cache_write: int, output: int, reasoning: int
) -> None:
    tokens = Tokens(input_, cache_read, cache_write, output, reasoning)
    for model in ("claude-sonnet-4-5", "claude-opus-4-6", "claude-haiku-4-5"):
        assert prices.rates(model) is not None
        assert prices.estimate_answers(model, tokens) == pytest.approx(prices.estimate(model, tokens))


def test_the_table_is_imported_on_demand_and_starts_no_thread() -> None:
    program = (
        "import sys, threading\n"
        "from pytest_gump.agents import prices, registry\n"
        "from pytest_gump.agents.cassettes import replay\n"
        "assert not {'genai_prices', 'httpx2'} & set(sys.modules)\n"
        "from pytest_gump.agents.base import Tokens\n"
        "prices.estimate('claude-sonnet-4-5', Tokens(input=1))\n"
        "print(threading.active_count())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
