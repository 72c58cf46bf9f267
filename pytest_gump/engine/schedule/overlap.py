"""Check whether two file patterns can match the same file."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

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
