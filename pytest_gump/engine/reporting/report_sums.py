"""The shapes of tokens, costs and sums in `gump report --json`."""

from __future__ import annotations

from typing import Annotated

from pydantic import with_config
from typing_extensions import TypedDict  # pydantic takes no other on Python 3.11

from pytest_gump.engine.reporting.json_schema import DESCRIBED, one_of


@with_config(DESCRIBED)
class Tokens(TypedDict):
    """Tokens of all kinds; they do not overlap."""

    input: int
    """Read fresh."""
    cache_read: int
    """Read from the cache."""
    cache_write: int
    """Written to the cache."""
    output: int
    """Written, without reasoning."""
    reasoning: int
    """Reasoning."""
    total: int
    """Sum of the others."""


@with_config(DESCRIBED)
class Cost(TypedDict):
    """What one attempt cost."""

    usd: float | None
    """US dollars; null if unknown."""
    provenance: Annotated[str, one_of("reported", "estimated", "unknown", "none")]
    """Reported by the CLI, estimated from tokens, unknown; none: gates only."""


@with_config(DESCRIBED)
class CostSum(TypedDict):
    """What several attempts cost together."""

    usd: float
    """US dollars: the sum of the known costs."""
    provenance: Annotated[str, one_of("reported", "estimated", "partly_unknown")]
    """The weakest of the parts."""
    unknown_attempts: int
    """Attempts that consumed something and whose cost is unknown; not part of `usd`."""


@with_config(DESCRIBED)
class Sum(TypedDict):
    """A sum over attempts, failed and stopped ones included."""

    attempts: int
    """Number of attempts that ended."""
    cost: CostSum
    """What they cost together."""
    tokens: Tokens
    """Their tokens."""
    turns: int
    """Answers of the model."""
    tool_calls: int
    """Tools that it called."""
    context_tokens: int
    """The longest context of one answer of the model, over all attempts; 0 if no CLI reported it."""
    duration_s: float
    """Time of the attempts, one after the other."""


@with_config(DESCRIBED)
class Spread(TypedDict):
    """Range of a figure over the attempts."""

    least: int
    """The smallest value."""
    median: float
    """The middle value, or the mean of the two in the middle."""
    most: int
    """The greatest value."""


@with_config(DESCRIBED)
class Totals(Sum):
    """Sums over the run."""

    steps: int
    """Number of steps."""
    retries: int
    """Failed attempts that were followed by another one, escalations included."""
    escalations: int
    """Retries that went to another agent."""
    waits: int
    """Attempts repeated after a wait, because the agent's account was at a limit; they are not retries."""
    failovers: int
    """Attempts repeated by another agent for that reason."""
    guards: dict[str, int]
    """How often each guard stopped an agent, by name; guards that stopped none are left out."""
    turns_per_attempt: Spread | None
    """Answers of the model in one attempt of an agent; null if no such attempt has ended."""
    files_changed: int | None
    """Files that differ between `base` and `head` of the run; null until it ends."""
    lines_added: int | None
    """Lines added between them; binary files count none; null until the run ends."""
    lines_removed: int | None
    """Lines removed between them; binary files count none; null until the run ends."""


@with_config(DESCRIBED)
class AgentSum(Sum):
    """Sums over the attempts of one agent."""

    agent: str
    """Its name in the workflow."""
    passed: int
    """Its attempts that passed."""
