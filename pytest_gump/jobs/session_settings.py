"""Settings of a session: from pytest's ini file, and from the `gump.toml` that is nearest to its start folder.

Ini options can also come from native TOML tables (`[tool.pytest]`, `pytest.toml`), whose values are typed.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.jobs.files import project_root
from pytest_gump.settings.gump_toml import gump_tomls
from pytest_gump.settings.settings import read_settings
from pytest_gump.system.environment import home

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.settings.settings import Settings

_KEY: Final = pytest.StashKey[tuple["Settings", tuple[str, ...]]]()


def session_settings(config: pytest.Config) -> Settings:
    """Return the settings of this session. The files are read once.

    Raises:
        ConfigError: A value is invalid.
    """
    return _read(config)[0]


def setting_notes(config: pytest.Config) -> tuple[str, ...]:
    """Return notes about settings without effect."""
    return _read(config)[1]


def _read(config: pytest.Config) -> tuple[Settings, tuple[str, ...]]:
    if _KEY not in config.stash:
        tomls = gump_tomls(project_root(config), config.invocation_params.dir, home())
        settings, _ = read_settings(ini_of(config), tomls)
        on_quota = config.getoption("gump_on_quota")
        if on_quota is not None:
            settings = replace(settings, on_quota=str(on_quota))
        config.stash[_KEY] = settings, tuple(note for toml in tomls for note in toml.notes())
    return config.stash[_KEY]


def ini_of(config: pytest.Config) -> Callable[[str], object]:
    """Return a function that reads an ini option. It returns None if the option is not set.

    pytest refuses TOML values whose type is not that of the option. pytest-gump accepts them and checks the types
    itself, as in `gump.toml`: `gump_max_items = 20` is a number in TOML and text in `pytest.ini`.
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
    """Return the value in pytest's TOML file."""
    path = config.inipath
    if path is None or path.suffix != ".toml":
        return None
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    table = tables.get("tool", {}) if path.name == "pyproject.toml" else tables
    value: object = table.get("pytest", {}).get(name)
    return value
