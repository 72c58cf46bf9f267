"""Order of the items of a plan, and which of them wait for others."""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.engine.schedule.overlap import PatternIndex, may_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.order import PlanItem


class Waits(NamedTuple):
    """For each item of an ordered plan: the items that it depends on, and the number of items that must end first."""

    needs: tuple[frozenset[int], ...] = ()
    after: tuple[int, ...] = ()
    """Both are empty if no item waits."""


def in_order(plan: Sequence[PlanItem]) -> tuple[PlanItem, ...]:
    """Return the items with each one after its dependencies; otherwise, their order stays the same.

    Raises:
        ValueError: Items depend on each other in a circle.
    """
    if not any(item.depends_on for item in plan):
        return tuple(plan)
    needed_by: defaultdict[str, list[int]] = defaultdict(list)
    needs = [len(set(item.depends_on)) for item in plan]
    for position, item in enumerate(plan):
        for slug in set(item.depends_on):
            needed_by[slug].append(position)
    fits = [position for position, count in enumerate(needs) if not count]
    ordered: list[PlanItem] = []
    while fits:
        item = plan[heappop(fits)]
        ordered.append(item)
        for position in needed_by[item.slug]:
            needs[position] -= 1
            if not needs[position]:
                heappush(fits, position)
    if len(ordered) < len(plan):
        raise ValueError("items of the plan depend on each other in a circle")
    return tuple(ordered)


def waits(plan: Sequence[PlanItem], *, serialize: bool) -> Waits:
    """Return which items of an ordered plan wait for others; with `serialize`, also because of overlapping files."""
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
    """Yield pairs of items (earlier, later) whose `files` may overlap, with an overlapping pattern of the later one."""
    index = PatternIndex()
    for second, later in enumerate(plan):
        for first in sorted(index.candidates(later.files)):
            earlier = plan[first]
            shared = (pattern for pattern in later.files if any(may_overlap(other, pattern) for other in earlier.files))
            if (pattern := next(shared, None)) is not None:
                yield first, second, pattern
        index.add(second, later.files)
