"""The settings that a run started here would have, read by pytest's own configuration machinery."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.settings import Settings


def effective_settings(root: Path) -> tuple[Settings, dict[str, str]]:
    """Give the settings, and for each option where its value comes from.

    Raises:
        ConfigError: a value that cannot be used.
    """
    import pytest

    from pytest_gump.cli.run import QUIET
    from pytest_gump.engine.settings import load_gump_toml, read_settings
    from pytest_gump.errors import ConfigError

    try:
        # Named, so that it is there under PYTEST_DISABLE_PLUGIN_AUTOLOAD too.
        config = pytest.Config.fromdictargs({}, ["-p", "gump", QUIET])
    except pytest.UsageError as error:
        raise ConfigError(f"pytest cannot read its configuration: {error}") from error
    try:
        settings, sources = read_settings(config.getini, load_gump_toml(root))
    finally:
        config._ensure_unconfigure()  # noqa: SLF001 - closes what parsing opened; tests/cli/test_config.py
    ini = str(config.inipath) if config.inipath is not None else "ini"
    return settings, {name: ini if source == "ini" else source for name, source in sources.items()}
