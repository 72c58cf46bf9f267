"""Tokens and dollars of a CLI that tells them only when it is done, estimated from what is said on its stream.

Every answer of the model reads the whole conversation: what the answer before it had read comes from the cache, what
was said and heard since is fresh. Reasoning that the stream does not show is not counted, nor is what a resumed
conversation held before: the estimate feeds live guards and runs that were killed, no more.
"""

from __future__ import annotations

import math
from typing import Final

from pytest_gump.agents import prices
from pytest_gump.agents.base import Tokens, Usage

# English prose and code come to 3 to 4 characters a token; the lower side, as it feeds a budget guard.
CHARACTERS_PER_TOKEN: Final = 3.5

INSTRUCTIONS_TOKENS: Final = 10_000
"""What a CLI sends along: its system prompt and tools are 38,000 characters in codex 0.169 and gemini 0.61."""

HEARD_CHARACTERS: Final = 41_000
"""Both CLIs cut a longer output of a tool before the model sees it."""

CONTEXT_TOKENS: Final = 250_000
"""A CLI makes a longer conversation short."""


class Conversation:
    """Running totals of one attempt."""

    __slots__ = ("_cached", "_context", "_input", "_known", "_read", "_spoken", "_usd", "answers", "model")

    def __init__(self, model: str | None, prompt: str) -> None:
        self.model = model
        self.answers = 0
        self._context = INSTRUCTIONS_TOKENS * CHARACTERS_PER_TOKEN + len(prompt)
        """Characters that the next answer reads."""
        self._cached = 0
        """Tokens that the answer before has read."""
        self._input = self._read = self._spoken = 0
        self._usd = 0.0
        self._known = True

    def answer(self) -> None:
        """A new answer of the model begins."""
        self.answers += 1
        context = min(math.ceil(self._context / CHARACTERS_PER_TOKEN), CONTEXT_TOKENS)
        tokens = Tokens(input=context - self._cached, cache_read=self._cached)
        self._input += tokens.input
        self._read += tokens.cache_read
        self._cached = context
        rates = prices.rates(self.model)
        self._known = self._known and rates is not None
        self._usd += rates.of(tokens) if rates is not None else 0.0

    def said(self, characters: int) -> None:
        """The model wrote so much: prose, commands, file contents."""
        self._context += characters
        self._spoken += characters
        rates = prices.rates(self.model)
        self._usd += characters / CHARACTERS_PER_TOKEN * rates.output if rates is not None else 0.0

    def heard(self, characters: int) -> None:
        """A tool gave so much back."""
        self._context += min(characters, HEARD_CHARACTERS)

    @property
    def tokens(self) -> Tokens:
        return Tokens(self._input, self._read, output=math.ceil(self._spoken / CHARACTERS_PER_TOKEN))

    def usage(self, *, tool_calls: int) -> Usage:
        known = self._known and prices.rates(self.model) is not None
        return Usage.estimated(self.tokens, self._usd if known else None, self.answers, tool_calls)


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
