"""The settings that a run started here would have, read by pytest's own configuration machinery."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from pytest_gump.agents.base import Agent
    from pytest_gump.engine.settings import Settings


@dataclass(frozen=True, slots=True)
class Names:
    """What a workflow may name here, beyond what is built in."""

    settings: Settings
    agents: dict[str, Agent | str]
    """Of gump_agents, and of the hooks of the conftest that pytest loads here."""
    gates: tuple[str, ...]


def effective_settings(root: Path) -> tuple[Settings, dict[str, str]]:
    """Give the settings, and for each option where its value comes from.

    Raises:
        ConfigError: a value that cannot be used.
    """
    from pytest_gump.engine.settings import load_gump_toml, read_settings

    with _configured() as config:
        settings, sources = read_settings(config.getini, load_gump_toml(root))
        ini = str(config.inipath) if config.inipath is not None else "ini"
    return settings, {name: ini if source == "ini" else source for name, source in sources.items()}


def effective_names(root: Path) -> Names:
    """Give the settings, and the agents and gates that hooks add.

    Raises:
        ConfigError: a value that cannot be used.
    """
    from pytest_gump.engine.settings import load_gump_toml, read_settings

    with _configured() as config:
        settings, _ = read_settings(config.getini, load_gump_toml(root))
        agents: dict[str, Agent | str] = dict(settings.agent_names)
        agents |= _merged(config.hook.pytest_gump_agents())
        gates = tuple(_merged(config.hook.pytest_gump_gates()))
    return Names(settings, agents, gates)


def _merged(answers: list[dict[str, Any] | None]) -> dict[str, Any]:
    return {name: value for answer in answers for name, value in (answer or {}).items()}


@contextmanager
def _configured() -> Iterator[pytest.Config]:
    import pytest
    from _pytest.config import ConftestImportFailure

    from pytest_gump.cli.run import QUIET
    from pytest_gump.errors import ConfigError

    try:
        # Named, so that it is there under PYTEST_DISABLE_PLUGIN_AUTOLOAD too.
        config = pytest.Config.fromdictargs({}, ["-p", "gump", QUIET])
    except pytest.UsageError as error:
        raise ConfigError(f"pytest cannot read its configuration: {error}") from error
    except ConftestImportFailure as error:
        raise ConfigError(f"{error.path}: cannot be imported: {error.cause}") from error
    try:
        yield config
    finally:
        config._ensure_unconfigure()  # noqa: SLF001 - closes what parsing opened; tests/cli/test_config.py
