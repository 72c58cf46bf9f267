"""Tokens and cost of Claude Code: reported by its results, and estimated before them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_gump.agents import prices
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.estimate import CHARACTERS_PER_TOKEN
from pytest_gump.agents.usage import Tokens

if TYPE_CHECKING:
    from pytest_gump.agents.streams.meter import Meter


class Answer:
    """One message of the model, main thread or subagent, as far as it has arrived."""

    __slots__ = ("_characters", "_output", "_output_rate")

    def __init__(self, meter: Meter, model: str | None, tokens: Tokens) -> None:
        """Count the input of a new answer, and its first output token."""
        rates = prices.rates(model)
        self._output_rate = rates.output if rates is not None else 0.0
        self._characters = 0
        self._output = 1
        meter.add(tokens, prices.estimate_answers(model, tokens))
        meter.grow(self._output, self._output_rate)

    def grow(self, meter: Meter, characters: int) -> None:
        self._characters += characters
        output = max(1, math.ceil(self._characters / CHARACTERS_PER_TOKEN))
        grown, self._output = output - self._output, output
        meter.grow(grown, grown * self._output_rate)


def is_guess(result: ndjson.JsonObject) -> bool:
    """True if the CLI has no price for the model."""
    models = ndjson.section(result, "modelUsage")
    return any(ndjson.section(models, name).get("costBasis") == "unknown" for name in models)


def input_tokens(usage: ndjson.JsonObject) -> Tokens:
    return Tokens(
        input=ndjson.count(usage, "input_tokens"),
        cache_read=ndjson.count(usage, "cache_read_input_tokens"),
        cache_write=ndjson.count(usage, "cache_creation_input_tokens"),
    )


def result_tokens(result: ndjson.JsonObject) -> Tokens:
    usage = ndjson.section(result, "usage")
    thinking = ndjson.count(ndjson.section(usage, "output_tokens_details"), "thinking_tokens")
    output = max(0, ndjson.count(usage, "output_tokens") - thinking)
    return input_tokens(usage) + Tokens(output=output, reasoning=thinking)


def model_tokens(result: ndjson.JsonObject) -> Tokens:
    models = ndjson.section(result, "modelUsage")
    total = Tokens()
    for name in models:
        usage = ndjson.section(models, name)
        thinking = ndjson.count(usage, "thinkingTokens")
        total += Tokens(
            input=ndjson.count(usage, "inputTokens"),
            cache_read=ndjson.count(usage, "cacheReadInputTokens"),
            cache_write=ndjson.count(usage, "cacheCreationInputTokens"),
            output=max(0, ndjson.count(usage, "outputTokens") - thinking),
            reasoning=thinking,
        )
    return total
