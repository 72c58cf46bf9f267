"""Whether two patterns of files can mean the same file."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_FOLDERS: Final = "**"
_LETTERS: Final = "*"


def may_overlap(one: str, other: str) -> bool:
    """Say whether some path matches both gitignore-style patterns.

    A character class counts as any character, and a name with a dot in it (`*.py`) as a file, never as a folder.
    """
    return _meet(_segments(one), _segments(other), _FOLDERS)


def _segments(pattern: str) -> tuple[str, ...]:
    text = pattern.strip()
    parts = [part for part in text.split("/") if part not in {"", "."}]
    is_rooted = "/" in text.rstrip("/")
    is_folder = text.endswith("/") or not parts or "." not in parts[-1].lstrip(".")
    return (*(() if is_rooted else (_FOLDERS,)), *parts, *([_FOLDERS] if is_folder else []))


@lru_cache(maxsize=16_384)
def _meet(one: tuple[str, ...], other: tuple[str, ...], star: str) -> bool:
    """Whether two lists of segments, or of letters, can stand for the same; `star` stands for any number of them."""
    if not one or not other:
        return all(part == star for part in (*one, *other))
    if star in (one[0], other[0]):
        first, second = (one, other) if one[0] == star else (other, one)
        return _meet(first[1:], second, star) or _meet(first, second[1:], star)
    return _is_same(one[0], other[0], star) and _meet(one[1:], other[1:], star)


def _is_same(one: str, other: str, star: str) -> bool:
    if star == _LETTERS:
        return one == other or "?" in (one, other)
    return _meet(_letters(one), _letters(other), _LETTERS)


def _letters(name: str) -> tuple[str, ...]:
    letters: list[str] = []
    place = 0
    while place < len(name):
        end = name.find("]", place + 2) if name[place] == "[" else -1
        letters.append("?" if end > 0 else name[place])
        place = end + 1 if end > 0 else place + 1
    return tuple(letters)
