"""Token counters, compared and subtracted one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents.base import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable


def each(combine: Callable[[int, int], int], one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        combine(one.input, other.input),
        combine(one.cache_read, other.cache_read),
        combine(one.cache_write, other.cache_write),
        combine(one.output, other.output),
        combine(one.reasoning, other.reasoning),
    )


def grown(total: float, before: float | None) -> float:
    """What a running total grew by; a total below the earlier one began anew."""
    return total if before is None or total < before else total - before


def tokens_grown(total: Tokens, before: Tokens) -> Tokens:
    return total if total.total < before.total else each(lambda now, then: max(0, now - then), total, before)
