"""`gump models`: names, models and prices of agents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pytest_gump.agents import prices, registry
from pytest_gump.agents.clis.claude import NEWEST
from pytest_gump.agents.family import FAMILIES

if TYPE_CHECKING:
    from .conftest import Gump


def rows(gump: Gump, *words: str) -> dict[str, dict[str, Any]]:
    table = json.loads(gump.good("models", *words, "--json"))
    assert (table["schema"], table["prices"]) == (1, prices.table_version())
    return {row["agent"]: row for row in table["agents"]}


def test_every_name_is_listed_with_its_cli(gump: Gump) -> None:
    listed = rows(gump)
    assert list(listed) == registry.known()
    assert {row["cli"] for row in listed.values()} == set(FAMILIES)


def test_a_model_has_a_price_per_million_tokens_and_a_context_window(gump: Gump) -> None:
    row = rows(gump)["opencode-haiku"]
    assert row["model"] == "anthropic/claude-haiku-4-5"
    assert (row["input"], row["output"], row["cache_read"], row["cache_write"]) == (1.0, 5.0, 0.1, 1.25)
    assert (row["context"], row["cost"]) == (200_000, "reported")


def test_a_short_claude_name_has_the_price_of_the_newest_model(gump: Gump) -> None:
    listed = rows(gump, "claude-")
    for name in ("claude-opus", "claude-sonnet", "claude-haiku"):
        row = listed[name]
        assert row["price_source"] == f"{prices.table_version()}, {NEWEST[row['model']]}"
        assert None not in (row["input"], row["output"], row["context"])
    assert "claude-haiku: priced as claude-haiku-4-5" in gump.good("models").splitlines()


def test_a_name_without_a_model_has_no_price(gump: Gump) -> None:
    row = rows(gump)["qwen"]
    assert (row["model"], row["input"], row["context"], row["cost"]) == (None, None, None, "unknown")


def test_every_name_has_a_price_or_a_reason_why_not(gump: Gump) -> None:
    listed = rows(gump)
    assert [name for name, row in listed.items() if (row["input"] is None) != bool(row["no_price"])] == []
    reasons = {name: listed[name]["no_price"] for name in ("copilot", "cursor-gpt5", "claude-opusplan", "codex-gpt55")}
    assert reasons == {
        "copilot": "the CLI chooses the model",
        "cursor-gpt5": "Cursor bills by its own plan",
        "claude-opusplan": "it uses two models",
        "codex-gpt55": None,
    }
    output = gump.good("models")
    assert "no price (not in the price table): codex-gpt53-spark\n" in output
    assert "no price (the CLI chooses the model): claude, codex, gemini" in output


def test_prices_of_cursor_are_unknown(gump: Gump) -> None:
    row = rows(gump)["cursor-gemini"]
    assert (row["model"], row["input"], row["cost"]) == ("gemini-3.1-pro", None, "unknown")


def test_the_table_shows_the_source_of_its_prices(gump: Gump) -> None:
    output = gump.good("models")
    assert output.splitlines()[0].split() == ["agent", "model", "window", "input", "output"]
    assert max(map(len, output.splitlines())) <= 80
    assert output.count(prices.table_version()) == 1
    assert "opencode-haiku" in output


def test_an_argument_selects_the_names_that_contain_it(gump: Gump) -> None:
    assert set(rows(gump, "gemini")) == {name for name in registry.known() if "gemini" in name}


def test_names_of_the_project_come_first(gump: Gump) -> None:
    gump.project.write({"pytest.ini": "[pytest]\ngump_agents =\n    fast = claude:claude-haiku-4-5 env:FOO=1\n"})
    listed = rows(gump)
    assert next(iter(listed)) == "fast"
    assert (listed["fast"]["cli"], listed["fast"]["model"]) == ("claude", "claude-haiku-4-5")
    assert listed["fast"]["output"] == 5.0
    head, fast = gump.good("models").splitlines()[:2]
    assert (head.split()[:3], fast.split()[:2]) == (["agent", "CLI", "model"], ["fast", "claude"])


@pytest.mark.parametrize("word", ["nope", "claude-opsu"])
def test_an_argument_that_matches_no_name_is_an_error(gump: Gump, word: str) -> None:
    assert (
        gump.bad("models", word)
        == f"gump: error: no agent name contains {word!r}\n  hint: gump models lists all names\n"
    )


def test_prices_have_a_source(gump: Gump) -> None:
    gump.project.write({"pytest.ini": "[pytest]\ngump_prices =\n    codex = 1/2\n    qwen3-coder-plus = 3/4/0.5\n"})
    listed = rows(gump)
    assert (listed["codex"]["input"], listed["codex"]["cache_read"], listed["codex"]["cost"]) == (1.0, 1.0, "estimated")
    assert (listed["qwen-plus"]["output"], listed["qwen-plus"]["cache_read"]) == (4.0, 0.5)
    assert {name: listed[name]["price_source"] for name in ("codex", "qwen-plus", "codex-o3", "gemini")} == {
        "codex": "gump_prices", "qwen-plus": "gump_prices", "codex-o3": prices.table_version(), "gemini": None
    }  # fmt: skip
    output = gump.good("models").splitlines()
    assert "codex, codex-gpt53-spark, qwen-coder-plus, qwen-plus: price from gump_prices" in output
    assert "qwen-coder: priced as openrouter qwen/qwen3-coder" in output
    prices.use({})
