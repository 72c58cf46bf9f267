"""Our ini options, also from native TOML tables (`[tool.pytest]`, `pytest.toml`), whose values have types."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def ini_of(config: pytest.Config) -> Callable[[str], object]:
    """Returns the value of an ini option, None if it is not set.

    pytest refuses a native TOML value of another type than the option was added with; ours say themselves what they
    take, as in `gump.toml`: `gump_max_items = 20` is a number there and text in `pytest.ini`.
    """

    def read(name: str) -> object:
        try:
            value: object = config.getini(name)
        except (TypeError, pytest.UsageError):
            value = _native(config, name)
            if value is None:
                raise
        return value

    return read


def _native(config: pytest.Config, name: str) -> object:
    """The value as written in the TOML file that pytest read."""
    path = config.inipath
    if path is None or path.suffix != ".toml":
        return None
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    table = tables.get("tool", {}) if path.name == "pyproject.toml" else tables
    value: object = table.get("pytest", {}).get(name)
    return value
