"""Sums of cost, tokens, turns and time over attempts, and costs that are unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.units import format_usd_sum


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over attempts. `cost_usd` is the sum of known costs; `unknown` counts the attempts with unknown cost.

    `presumed_usd` is the highest possible cost of the latter, where a budget counts it.
    """

    attempts: int = 0
    cost_usd: float = 0.0
    estimated: bool = False
    unknown: int = 0
    tokens: Tokens = Tokens()
    turns: int = 0
    tool_calls: int = 0
    context_tokens: int = 0
    """The maximum, not the sum."""
    duration_s: float = 0.0
    presumed_usd: float = 0.0

    @property
    def bound_usd(self) -> float:
        """Cost that budgets count: known and presumed."""
        return self.cost_usd + self.presumed_usd

    @property
    def cost_text(self) -> str:
        return format_usd_sum(self.cost_usd, estimated=self.estimated, has_unknown=self.unknown > 0)

    def plus(self, usage: Usage, duration_s: float, *, unknown: bool, presumed_usd: float = 0.0) -> Total:
        return Total(
            attempts=self.attempts + 1,
            cost_usd=self.cost_usd + (usage.cost_usd or 0.0),
            estimated=self.estimated or usage.is_estimated,
            unknown=self.unknown + unknown,
            tokens=self.tokens + usage.tokens,
            turns=self.turns + usage.turns,
            tool_calls=self.tool_calls + usage.tool_calls,
            context_tokens=max(self.context_tokens, usage.context_tokens),
            duration_s=self.duration_s + duration_s,
            presumed_usd=self.presumed_usd + presumed_usd,
        )


NOTHING: Final = Total()
_CUT: Final = ("crashed", "cancelled")
"""Outcomes by name, so that lists of runs do not import the module of orders and results."""


def is_unknown(usage: Usage, outcome: str = "") -> bool:
    """True if an attempt may have a cost that was not reported.

    An agent that ended by itself and reported no usage cost nothing; for example, it could not log in.
    """
    was_cut = outcome in _CUT
    return usage.cost_usd is None and (was_cut or not usage.is_empty)
