"""Find patterns and plan items that can match the same file, without a comparison of all pairs of items."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    Segments = tuple[str, ...]

_WILD: Final = frozenset("*?[")
_FOLDERS: Final = "**"
_LETTERS: Final = "*"


def may_overlap(first: str, second: str) -> bool:
    """True if a path can match both gitignore-style patterns.

    A character class is treated as any character, and a name with a dot (`*.py`) as a file, not as a folder.
    """
    return _meet(segments(first), segments(second), _FOLDERS)


def segments(pattern: str) -> tuple[str, ...]:
    """Return the parts of a pattern between slashes; `**` stands for any number of folders."""
    text = pattern.strip()
    parts = [part for part in text.split("/") if part not in {"", "."}]
    is_rooted = "/" in text.rstrip("/")
    is_folder = text.endswith("/") or not parts or "." not in parts[-1].lstrip(".")
    return (*(() if is_rooted else (_FOLDERS,)), *parts, *([_FOLDERS] if is_folder else []))


@lru_cache(maxsize=16_384)
def _meet(first: tuple[str, ...], second: tuple[str, ...], star: str) -> bool:
    """True if two lists of segments, or of letters, can be equal; `star` stands for any number of them."""
    if not first or not second:
        return all(part == star for part in (*first, *second))
    if first[0] == star or second[0] == star:
        wild, fixed = (first, second) if first[0] == star else (second, first)
        return _meet(wild[1:], fixed, star) or _meet(wild, fixed[1:], star)
    return _is_same(first[0], second[0], star) and _meet(first[1:], second[1:], star)


def _is_same(first: str, second: str, star: str) -> bool:
    if star == _LETTERS:
        return first == second or "?" in (first, second)
    return _meet(_letters(first), _letters(second), _LETTERS)


def _letters(name: str) -> tuple[str, ...]:
    letters: list[str] = []
    at = 0
    while at < len(name):
        end = name.find("]", at + 2) if name[at] == "[" else -1
        letters.append("?" if end > 0 else name[at])
        at = end + 1 if end > 0 else at + 1
    return tuple(letters)


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
