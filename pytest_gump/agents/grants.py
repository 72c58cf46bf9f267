"""The user's own words for a command line, without those that grant more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def without(words: Iterable[str], *, options: Collection[str], flags: Collection[str]) -> tuple[str, ...]:
    """Leave out flags, and options together with their value: `--name value`, `--name=value`, `-nvalue`."""
    kept: list[str] = []
    left = iter(words)
    for word in left:
        if word in options:
            next(left, None)
        elif word not in flags and not _holds_value(word, options):
            kept.append(word)
    return tuple(kept)


def _holds_value(word: str, options: Collection[str]) -> bool:
    if word.startswith("--"):
        return word.partition("=")[0] in options
    return word[:2] in options
