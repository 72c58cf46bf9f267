"""Tokens and dollars of Claude Code: what its results report, and what can be told before them."""

from __future__ import annotations

import math

from pytest_gump.agents import prices
from pytest_gump.agents.base import Tokens
from pytest_gump.agents.streams import ndjson
from pytest_gump.agents.streams.estimate import CHARACTERS_PER_TOKEN


class Answer:
    """One message of the model, main thread or subagent, as far as it was seen."""

    __slots__ = ("characters", "input_usd", "output", "output_rate", "tokens")

    def __init__(self, model: str | None, tokens: Tokens) -> None:
        self.tokens = tokens
        """Input side only."""
        self.input_usd = prices.estimate_answer(model, tokens)
        rates = prices.rates(model)
        self.output_rate = rates.output if rates is not None else 0.0
        self.characters = 0
        self.output = 1


class Estimate:
    """Running totals over answers, subagents included."""

    __slots__ = ("_cache_read", "_cache_write", "_input", "_output", "_unknown", "_usd", "answers")

    def __init__(self) -> None:
        self.answers = 0
        self._input = self._cache_read = self._cache_write = self._output = 0
        self._usd = 0.0
        self._unknown = False

    def start(self, answer: Answer) -> None:
        self.answers += 1
        self._input += answer.tokens.input
        self._cache_read += answer.tokens.cache_read
        self._cache_write += answer.tokens.cache_write
        if answer.input_usd is None:
            self._unknown = True
        else:
            self._usd += answer.input_usd
        self._speak(answer, answer.output)

    def grow(self, answer: Answer, characters: int) -> None:
        answer.characters += characters
        output = max(1, math.ceil(answer.characters / CHARACTERS_PER_TOKEN))
        grown, answer.output = output - answer.output, output
        self._speak(answer, grown)

    def _speak(self, answer: Answer, tokens: int) -> None:
        self._output += tokens
        self._usd += tokens * answer.output_rate

    def after(self, reported: Tokens) -> Tokens:
        return Tokens(
            reported.input + self._input,
            reported.cache_read + self._cache_read,
            reported.cache_write + self._cache_write,
            reported.output + self._output,
            reported.reasoning,
        )

    @property
    def cost_usd(self) -> float | None:
        return None if self._unknown else self._usd


def is_guess(result: ndjson.JsonObject) -> bool:
    """Whether the CLI did not know the model's price."""
    models = ndjson.section(result, "modelUsage")
    return any(ndjson.section(models, name).get("costBasis") == "unknown" for name in models)


def result_tokens(result: ndjson.JsonObject) -> Tokens:
    usage = ndjson.section(result, "usage")
    thinking = ndjson.count(ndjson.section(usage, "output_tokens_details"), "thinking_tokens")
    return Tokens(
        input=ndjson.count(usage, "input_tokens"),
        cache_read=ndjson.count(usage, "cache_read_input_tokens"),
        cache_write=ndjson.count(usage, "cache_creation_input_tokens"),
        output=max(0, ndjson.count(usage, "output_tokens") - thinking),
        reasoning=thinking,
    )


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
