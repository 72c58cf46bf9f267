"""The settings of a session: those of pytest's ini file, and of the `gump.toml` that is nearest to where it started."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.jobs.ini import ini_of
from pytest_gump.settings.gump_toml import gump_tomls
from pytest_gump.settings.settings import read_settings
from pytest_gump.system.environment import home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from pytest_gump.settings.settings import Settings


def session_settings(config: pytest.Config, project: Path) -> Settings:
    """Read the settings that count in this session.

    Raises:
        ConfigError: a value that cannot be used.
    """
    return read_settings(ini_of(config), gump_tomls(project, config.invocation_params.dir, home()))[0]


def setting_notes(config: pytest.Config, project: Path) -> Iterator[str]:
    """Name settings in the files that have no effect."""
    for toml in gump_tomls(project, config.invocation_params.dir, home()):
        yield from toml.notes()
