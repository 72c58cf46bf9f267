"""A mapping whose values are imported when they are looked up."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class LazyMapping(Mapping[str, T], Generic[T]):
    """Maps names to values that are written as `module:attribute`. Only a look-up of a value imports its module."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> T:
        value: T = pkgutil.resolve_name(self._places[name])
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
