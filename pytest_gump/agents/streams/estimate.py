"""Tokens and dollars of a CLI that tells them only when it is done, estimated from what is said on its stream.

Every answer of the model reads the whole conversation: what the answer before it had read comes from the cache, what
was said and heard since is fresh. Reasoning that the stream does not show is not counted, nor is what a resumed
conversation held before: the estimate feeds live guards and runs that were killed, no more.
"""

from __future__ import annotations

import math
from typing import Final

from pytest_gump.agents import prices
from pytest_gump.agents.streams.meter import Meter
from pytest_gump.agents.usage import Tokens, Usage

# English prose and code come to 3 to 4 characters a token; the lower side, as it feeds a budget guard.
CHARACTERS_PER_TOKEN: Final = 3.5

INSTRUCTIONS_TOKENS: Final = 10_000
"""What a CLI sends along: its system prompt and tools are 38,000 characters in codex 0.169 and gemini 0.61."""

TOOL_OUTPUT_CHARACTERS: Final = 41_000
"""Both CLIs cut a longer output of a tool before the model sees it."""

CONTEXT_TOKENS: Final = 250_000
"""A CLI makes a longer conversation short."""


class Conversation(Meter):
    """What the answers of one attempt have used, by what was written to and by the model."""

    __slots__ = ("_cached", "_context", "_written", "model")

    def __init__(self, model: str | None, prompt: str) -> None:
        super().__init__()
        self.model = model
        self._context = INSTRUCTIONS_TOKENS * CHARACTERS_PER_TOKEN + len(prompt)
        """Characters that the next answer reads."""
        self._cached = 0
        """Tokens that the answer before has read."""
        self._written = 0
        """Characters."""

    def begin_answer(self) -> None:
        context = min(math.ceil(self._context / CHARACTERS_PER_TOKEN), CONTEXT_TOKENS)
        tokens = Tokens(input=context - self._cached, cache_read=self._cached)
        self._cached = context
        rates = prices.rates(self.model)
        self.add(tokens, None if rates is None else rates.price(tokens))

    def add_output(self, characters: int) -> None:
        """The model wrote so much: prose, commands, file contents."""
        self._context += characters
        self._written += characters
        self._output = math.ceil(self._written / CHARACTERS_PER_TOKEN)
        rates = prices.rates(self.model)
        if self.cost_usd is not None and rates is not None:
            self.cost_usd += characters / CHARACTERS_PER_TOKEN * rates.output

    def add_tool_output(self, characters: int) -> None:
        """A tool returned so much."""
        self._context += min(characters, TOOL_OUTPUT_CHARACTERS)

    def usage(self, *counts: int) -> Usage:
        is_known = prices.rates(self.model) is not None
        return Usage.estimated(self.tokens, self.cost_usd if is_known else None, *counts)


def characters_of(value: object) -> int:
    """Length of the strings in a JSON value: what the model had to write, of any depth."""
    total, stack = 0, [value]
    while stack:
        part = stack.pop()
        if isinstance(part, str):
            total += len(part)
        elif isinstance(part, dict):
            stack += part
            stack += part.values()
        elif isinstance(part, list):
            stack += part
        else:
            total += 1
    return total
