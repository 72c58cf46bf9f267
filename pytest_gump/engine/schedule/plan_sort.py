"""In which order the items of a plan run, and which of them wait for others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.overlap import may_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.order import PlanItem


@dataclass(frozen=True, slots=True)
class Waits:
    """For each item of an ordered plan: whom it needs, and how many items must have ended before it."""

    needs: tuple[frozenset[int], ...] = ()
    after: tuple[int, ...] = ()
    """Both are empty when nobody waits."""


def in_order(plan: Sequence[PlanItem]) -> tuple[PlanItem, ...]:
    """Put every item behind those that it depends on, and else leave the order as it is.

    Raises:
        ValueError: the items depend on each other in a circle.
    """
    if not any(item.depends_on for item in plan):
        return tuple(plan)
    ordered: dict[str, PlanItem] = {}
    left = list(plan)
    while left:
        fits = next((item for item in left if all(slug in ordered for slug in item.depends_on)), None)
        if fits is None:
            raise ValueError("the items of the plan depend on each other in a circle")
        ordered[fits.slug] = fits
        left.remove(fits)
    return tuple(ordered.values())


def waits(plan: Sequence[PlanItem], *, serialize: bool) -> Waits:
    """Say who waits for whom in a plan that is in order; with `serialize`, items that may touch the same files do."""
    if not serialize and not any(item.depends_on for item in plan):
        return Waits()
    index = {item.slug: position for position, item in enumerate(plan)}
    needs = tuple(frozenset(index[slug] for slug in item.depends_on) for item in plan)
    after = [max(needed, default=-1) + 1 for needed in needs]
    if serialize:
        for first, second, _ in overlaps(plan):
            after[second] = max(after[second], first + 1)
    return Waits(needs, tuple(after)) if any(after) else Waits()


def overlaps(plan: Sequence[PlanItem]) -> Iterator[tuple[int, int, str]]:
    """Pairs of items (earlier, later) whose `files` may name the same file, with one pattern of the later that does."""
    listed = [position for position, item in enumerate(plan) if item.files]
    for second in listed:
        later = plan[second]
        for first in takewhile(second.__gt__, listed):
            earlier = plan[first]
            shared = (pattern for pattern in later.files if any(may_overlap(other, pattern) for other in earlier.files))
            if (pattern := next(shared, None)) is not None:
                yield first, second, pattern
