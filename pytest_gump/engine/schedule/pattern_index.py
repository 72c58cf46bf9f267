"""Finds which items of a plan may name the same files as another one, without comparing each with each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.overlap import segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    Segments = tuple[str, ...]

_WILD: Final = frozenset("*?[")


class PatternIndex:
    """Items by the folders with which their patterns begin.

    Two patterns can only mean the same file if the segments before the first wildcard of one begin those of the other.
    """

    def __init__(self) -> None:
        self._plain: defaultdict[Segments, list[int]] = defaultdict(list)
        """By the whole pattern, of those without wildcards."""
        self._wild: defaultdict[Segments, list[int]] = defaultdict(list)
        """By the segments before the first wildcard."""
        self._below: defaultdict[Segments, list[int]] = defaultdict(list)
        """All, by each beginning of those segments."""

    def add(self, item: int, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            head, is_plain = _head(segments(pattern))
            (self._plain if is_plain else self._wild)[head].append(item)
            for depth in range(len(head) + 1):
                self._below[head[:depth]].append(item)

    def candidates(self, patterns: Iterable[str]) -> set[int]:
        """The items that were added and that may overlap; a few may not."""
        found: set[int] = set()
        for pattern in patterns:
            head, is_plain = _head(segments(pattern))
            found.update((self._plain if is_plain else self._below).get(head, ()))
            for depth in range(len(head) + 1):
                found.update(self._wild.get(head[:depth], ()))
        return found


def _head(pattern: Segments) -> tuple[Segments, bool]:
    """The segments before the first wildcard, and whether there is none."""
    for depth, segment in enumerate(pattern):
        if not _WILD.isdisjoint(segment):
            return pattern[:depth], False
    return pattern, True
