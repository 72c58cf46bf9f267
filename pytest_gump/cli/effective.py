"""The settings of a run that would be started in this folder."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.config import ConftestImportFailure

from pytest_gump.errors import ConfigError, suggest
from pytest_gump.jobs.command_line import QUIET
from pytest_gump.jobs.hooks import merged
from pytest_gump.jobs.session_settings import ini_of
from pytest_gump.settings.gump_toml import gump_tomls
from pytest_gump.settings.settings import INI_OPTIONS, read_settings
from pytest_gump.system.environment import home
from pytest_gump.system.worktrees.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.agents.base import Agent
    from pytest_gump.settings.gump_toml import GumpToml
    from pytest_gump.settings.settings import Settings
    from pytest_gump.system.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Names:
    """Settings, and the names that a workflow may use in addition to the built-in ones."""

    settings: Settings
    agents: dict[str, Agent | str]
    """Agents of gump_agents and of hooks in conftest files that pytest loads in this folder."""
    gates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings of a run that would be started in this folder."""

    settings: Settings
    sources: dict[str, str]
    """Source of each option's value, by name of the option."""
    notes: list[str]
    """Notes about settings that have no effect, each with its file."""


def effective(root: Path) -> Effective:
    """Read the settings from all files.

    Raises:
        ConfigError: A file or a value is invalid.
    """
    tomls = _tomls(root)
    with _configured() as config:
        settings, sources = read_settings(ini_of(config), tomls)
        ini = str(config.inipath) if config.inipath is not None else "ini"
        unknown = list(_unknown_options(config, ini))
    notes = [*unknown, *(note for toml in tomls for note in toml.notes())]
    return Effective(settings, {name: ini if source == "ini" else source for name, source in sources.items()}, notes)


def worktrees(repository: Repository) -> Path:
    """Return the folder of the runs' worktrees."""
    return Slots.default_root(repository, effective(repository.root).settings.worktrees)


def _unknown_options(config: pytest.Config, ini: str) -> Iterator[str]:
    """Yield a note for each unknown `gump_` option in pytest's ini file. pytest warns about these only in a session."""
    known = [option.name for option in INI_OPTIONS]
    unknown: Any = getattr(config, "_get_unknown_ini_keys", set)  # private; tests/cli/test_config.py
    for name in sorted(unknown()):
        if name.startswith("gump_"):
            hint = suggest(name, known, "gump config lists all settings")
            yield f"{ini}: {name!r} has no effect\n  hint: {hint}"


def effective_names(root: Path) -> Names:
    """Return the settings, and the agents and gates that hooks add.

    Raises:
        ConfigError: A value is invalid.
    """
    with _configured() as config:
        settings, _ = read_settings(ini_of(config), _tomls(root))
        agents: dict[str, Agent | str] = dict(settings.agent_names)
        agents |= merged(config.hook, "pytest_gump_agents")
        gates = tuple(merged(config.hook, "pytest_gump_gates"))
    return Names(settings, agents, gates)


def _tomls(root: Path) -> tuple[GumpToml, ...]:
    return gump_tomls(root, Path.cwd(), home())


@contextmanager
def _configured() -> Iterator[pytest.Config]:
    try:
        # Named explicitly for PYTEST_DISABLE_PLUGIN_AUTOLOAD.
        config = pytest.Config.fromdictargs({}, ["-p", "gump", QUIET])
    except (pytest.UsageError, pytest.fail.Exception, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"pytest cannot read its configuration: {error}") from error
    except ConftestImportFailure as error:
        raise ConfigError(f"{error.path}: cannot be imported: {error.cause}") from error
    try:
        yield config
    finally:
        config._ensure_unconfigure()  # noqa: SLF001 - closes the files that parsing opened; tests/cli/test_config.py
