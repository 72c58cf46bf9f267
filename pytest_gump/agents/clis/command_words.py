"""Removes arguments that grant more from the user's own arguments for a command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


@dataclass(frozen=True, slots=True)
class Grants:
    """Arguments of one CLI that grant an agent more."""

    options: frozenset[str] = frozenset()
    """Options with a value: `--name value`, `--name=value`, `-nvalue`."""
    flags: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    """Options whose values are all arguments up to the next option."""

    def removed_from(self, arguments: Iterable[str]) -> tuple[str, ...]:
        kept: list[str] = []
        left = list(arguments)
        while left:
            argument = left.pop(0)
            if argument in self.lists:
                while left and not _is_option(left[0]):
                    del left[0]
            elif argument in self.options:
                del left[:1]
            elif argument not in self.flags and not _holds_value(argument, self.options | self.lists):
                kept.append(argument)
        return tuple(kept)


def _is_option(argument: str) -> bool:
    return len(argument) > 1 and argument.startswith("-")


def _holds_value(argument: str, options: Collection[str]) -> bool:
    if argument.startswith("--"):
        return argument.partition("=")[0] in options
    return argument[:2] in options
