"""Index of plan items by file patterns, to find overlapping items without comparing all pairs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.overlap import segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    Segments = tuple[str, ...]

_WILD: Final = frozenset("*?[")


class PatternIndex:
    """Items by the leading folders of their patterns.

    Two patterns can match the same file only if the segments before the first wildcard of one are a prefix of the
    other's.
    """

    def __init__(self) -> None:
        self._plain: defaultdict[Segments, list[int]] = defaultdict(list)
        """Items with patterns without wildcards, by the whole pattern."""
        self._wild: defaultdict[Segments, list[int]] = defaultdict(list)
        """Items with wildcards, by the segments before the first wildcard."""
        self._below: defaultdict[Segments, list[int]] = defaultdict(list)
        """All items, by each prefix of those segments."""

    def add(self, item: int, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            head, is_plain = _head(segments(pattern))
            (self._plain if is_plain else self._wild)[head].append(item)
            for depth in range(len(head) + 1):
                self._below[head[:depth]].append(item)

    def candidates(self, patterns: Iterable[str]) -> set[int]:
        """Return the added items that may overlap. Some of them may not."""
        found: set[int] = set()
        for pattern in patterns:
            head, is_plain = _head(segments(pattern))
            found.update((self._plain if is_plain else self._below).get(head, ()))
            for depth in range(len(head) + 1):
                found.update(self._wild.get(head[:depth], ()))
        return found


def _head(pattern: Segments) -> tuple[Segments, bool]:
    """Return the segments before the first wildcard, and True if there is no wildcard."""
    for depth, segment in enumerate(pattern):
        if not _WILD.isdisjoint(segment):
            return pattern[:depth], False
    return pattern, True
