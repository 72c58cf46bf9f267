"""Estimates tokens and cost from the text of a stream, for CLIs that report them only at the end.

Every answer of the model reads the whole conversation: the part that the previous answer read comes from the cache,
the rest is new input. Hidden reasoning and the earlier part of a resumed conversation are not counted. The estimate is
used only by live guards, and for answers of which the CLI reports no tokens.
"""

from __future__ import annotations

import math
from typing import Final

from pytest_gump.agents import prices
from pytest_gump.agents.streams.meter import Meter, each
from pytest_gump.agents.usage import Tokens, Usage

# English prose and code have 3 to 4 characters per token. A low value makes a budget guard stop earlier, not later.
CHARACTERS_PER_TOKEN: Final = 3.5

INSTRUCTIONS_TOKENS: Final = 10_000
"""System prompt and tools, which a CLI adds to a prompt: 38,000 characters in codex 0.169 and gemini 0.61."""

TOOL_OUTPUT_CHARACTERS: Final = 41_000
"""Codex and Gemini truncate longer tool output before they send it to the model."""

CONTEXT_TOKENS: Final = 250_000
"""The CLIs compact a longer conversation."""


class Conversation(Meter):
    """Estimated usage of one attempt, from the text written to and by the model."""

    __slots__ = ("_before", "_cached", "_context", "_written", "model")

    def __init__(self, model: str | None, prompt: str) -> None:
        super().__init__()
        self.model = model
        self._context = INSTRUCTIONS_TOKENS * CHARACTERS_PER_TOKEN + len(prompt)
        """Characters that the next answer reads."""
        self._cached = 0
        """Tokens that the previous answer read."""
        self._written = 0
        """Characters that the model has written."""
        self._before = Tokens()
        """Tokens of all answers but the last one."""

    def begin_answer(self) -> None:
        self._before = self.tokens
        context = min(math.ceil(self._context / CHARACTERS_PER_TOKEN), CONTEXT_TOKENS)
        tokens = Tokens(input=context - self._cached, cache_read=self._cached)
        self._cached = context
        rates = prices.rates(self.model)
        self.add(tokens, None if rates is None else rates.price(tokens))

    def add_output(self, characters: int) -> None:
        """Count text that the model wrote: prose, commands, file contents."""
        self._context += characters
        self._written += characters
        self._output = math.ceil(self._written / CHARACTERS_PER_TOKEN)
        rates = prices.rates(self.model)
        if self.cost_usd is not None and rates is not None:
            self.cost_usd += characters / CHARACTERS_PER_TOKEN * rates.output

    def add_tool_output(self, characters: int) -> None:
        """Count output that a tool returned."""
        self._context += min(characters, TOOL_OUTPUT_CHARACTERS)

    def last_answer(self) -> Tokens:
        return each(int.__sub__, self.tokens, self._before)

    def usage(self, *counts: int) -> Usage:
        is_known = prices.rates(self.model) is not None
        return Usage.estimated(self.tokens, self.cost_usd if is_known else None, *counts)


def characters_of(value: object) -> int:
    """Return the length of all strings in a JSON value, at any depth: the text that the model wrote."""
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
