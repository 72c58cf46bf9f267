"""The user's own words for a command line, without those that grant more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def without(
    words: Iterable[str], *, options: Collection[str], flags: Collection[str], lists: Collection[str] = ()
) -> tuple[str, ...]:
    """Leave out flags, and options together with their value: `--name value`, `--name=value`, `-nvalue`.

    After the name of a list, all words up to the next option are its values.
    """
    kept: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in lists:
            while left and not _is_option(left[0]):
                del left[0]
        elif word in options:
            del left[:1]
        elif word not in flags and not _holds_value(word, {*options, *lists}):
            kept.append(word)
    return tuple(kept)


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-")


def _holds_value(word: str, options: Collection[str]) -> bool:
    if word.startswith("--"):
        return word.partition("=")[0] in options
    return word[:2] in options
