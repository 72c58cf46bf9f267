"""Settings of a run as typed values, read from ini options and `gump.toml` keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_gump.agents.prices import Rates
from pytest_gump.errors import ConfigError
from pytest_gump.settings.ini_options import INI_OPTIONS, IniOption
from pytest_gump.settings.ini_values import READERS
from pytest_gump.system.kept_ignored import KEEP_IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_gump.settings.gump_toml import GumpToml

__all__ = ["INI_OPTIONS", "IniOption", "Settings", "read_settings"]

MAX_CHARS: Final = 300
"""Longest message about an invalid value. Longer ones are cut, because the value may have any size."""
STOP: Final = "stop"
WAIT: Final = "wait"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one run. Times are in seconds, sizes in characters or bytes. None means not set."""

    compile: str | None = None
    test: str | None = None
    lint: str | None = None
    coverage: str | None = None
    gate_timeout_s: float = 600.0
    setup: tuple[str, ...] = ()
    """Shell commands for each new worktree. They run before those of the workflow."""
    setup_timeout_s: float = 1800.0
    context_timeout_s: float = 30.0
    error_chars: int = 2000
    diff_chars: int = 3000
    max_items: int = 100
    handover_bytes: int = 1024 * 1024
    context_bytes: int = 400_000
    test_files: tuple[str, ...] = ()
    """Patterns for `@tests` in addition to the built-in ones."""
    keep_ignored: tuple[str, ...] = KEEP_IGNORED
    copy: tuple[str, ...] = ()
    """Patterns of files to copy into worktrees, in addition to those of `.worktreeinclude`."""
    agents: tuple[str, ...] = ()
    """Lines `NAME = AGENT ARGUMENTS`."""
    prices: tuple[str, ...] = ()
    """Lines `NAME = INPUT/OUTPUT/CACHE_READ/CACHE_WRITE`: USD per million tokens, by the name of a model or CLI."""
    agent_env: tuple[str, ...] = ()
    gate_env: tuple[str, ...] = ()
    allow_commands: tuple[str, ...] = ()
    silence_timeout_s: float | None = 600.0
    """An agent that prints nothing for this time is stopped; None means never."""
    stop_grace_s: float = 3.0
    """Time between SIGTERM and SIGKILL."""
    end_grace_s: float = 30.0
    """An agent that prints nothing for this time after its final event is stopped. Its result counts."""
    stream_bytes: int = 256_000_000
    """A command that prints more to all of its outputs together is stopped."""
    stream_lines: int = 250_000
    """An agent that prints more lines is stopped."""
    worktrees: str | None = None
    """Folder for the worktree slots; None means the user's cache."""
    record: str | None = None
    """The cassette of the run. The ini option names the folder in which each run creates its cassette."""
    unknown_cost: Literal["refuse", "allow"] = "refuse"
    on_quota: str = "stop"
    """What to do when an agent's account is at its limit: `stop`, `wait`, or the name of another agent."""
    quota_wait_s: float = 6 * 3600.0
    """Longest total time that a run waits for limits."""
    quota_margin_s: float = 30.0
    """Additional time to wait after the stated end of a limit."""
    workers: int = 4
    """Most steps that run at the same time on workers."""
    slots: tuple[str, ...] = ()
    """Most attempts at the same time for each CLI: `claude=3`."""

    @property
    def agent_names(self) -> dict[str, str]:
        """The user's own agent names, each with its value: another agent, then further arguments."""
        return {name: text for name, _, text in (line.partition(" = ") for line in self.agents)}

    @property
    def own_prices(self) -> dict[str, Rates]:
        """Prices in USD per token, by the name of a model or CLI."""
        lines = (line.partition(" = ") for line in self.prices)
        return {name: Rates.of_million(*map(float, dollars.split("/"))) for name, _, dollars in lines}

    @property
    def failover(self) -> tuple[str, ...]:
        """The agent to use when another one's account is at its limit; empty if there is none."""
        return () if self.on_quota in {STOP, WAIT} else (self.on_quota,)

    @property
    def slots_of(self) -> dict[str, int]:
        return {cli: int(number) for cli, _, number in (word.partition("=") for word in self.slots)}

    @property
    def commands(self) -> dict[str, str]:
        """The gate commands that are set, by kind. Other commands are detected."""
        declared = {"compile": self.compile, "test": self.test, "lint": self.lint, "coverage": self.coverage}
        return {kind: command for kind, command in declared.items() if command is not None}


def read_settings(
    ini: Callable[[str], object | None], tomls: Iterable[GumpToml] = ()
) -> tuple[Settings, dict[str, str]]:
    """Resolve all options.

    The ini file takes precedence, then the last of `tomls` that contains the option, then the default.

    Args:
        ini: Returns the value of an ini option, or None if it is not set.
        tomls: The TOML files. Later files take precedence.

    Returns:
        The settings, and the source of each by option name: `ini`, `gump.toml [validation] test_cmd`, `default`.

    Raises:
        ConfigError: A value is invalid or a key is unknown. The message names the file and the key.
    """
    from_toml = {setting.option: setting for toml in tomls for setting in toml.settings()}
    values: dict[str, object] = {}
    sources: dict[str, str] = {}
    for option in INI_OPTIONS:
        raw, source, location = ini(option.name), "ini", option.name
        if raw is None or raw in ("", []):
            _, raw, source, location = from_toml.get(option.name, (option.name, None, "default", ""))
        sources[option.name] = source
        if raw is not None:
            values[option.field] = _read(option, raw, location)
    return Settings(**values), sources  # type: ignore[arg-type]  # each reader returns the type of its field


def _read(option: IniOption, raw: object, location: str) -> object:
    try:
        return READERS[option.kind](raw)
    except ValueError as error:
        text = str(error)
        raise ConfigError(f"{location}: {text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 3] + '...'}") from error
