"""Resolve the agent names of a job to adapters, or to replay agents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.agents import registry
from pytest_gump.errors import AgentError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_gump.agents.base import Agent
    from pytest_gump.agents.cassettes.cassette import Cassette
    from pytest_gump.settings.settings import Settings


class CassetteReplay(NamedTuple):
    """Values of the `--gump-replay` options."""

    cassette: Cassette
    lenient: bool
    delay: float


def find_agent(name: str, agents: Mapping[str, Agent | str], replay: CassetteReplay | None) -> Agent:
    """Return the adapter of an agent name, or its replay agent.

    Raises:
        AgentError: The name is unknown.
    """
    if replay is None:
        return registry.resolve(name, agents)
    from pytest_gump.agents.cassettes.replay import ReplayAgent  # needed only for a replay

    cli = replay.cassette.cli_of(name) or registry.cli_of(name, agents) or "replay"
    live = registry.find(name, agents)
    return ReplayAgent(replay.cassette, name, cli, lenient=replay.lenient, delay=replay.delay, live=live)


def own_agents(settings: Settings, *, replayed: bool) -> dict[str, str]:
    """Return the agents that `gump_agents` defines.

    Raises:
        AgentError: A definition is invalid.
    """
    own = settings.agent_names
    for name in own:
        problem = registry.problem(name, own, replayed=replayed)
        if problem is not None:
            raise AgentError(f"gump_agents: {problem}")
    return own


def read_replay(config: pytest.Config) -> CassetteReplay | None:
    folder = config.getoption("gump_replay")
    if not folder:
        return None
    text = config.getoption("gump_replay_delay")
    try:
        delay = float(text)
    except ValueError:
        delay = -1.0
    if not 0 <= delay < float("inf"):
        raise ConfigError(f"--gump-replay-delay must be a number of at least 0, not {text!r}")
    from pytest_gump.agents.cassettes.cassette import Cassette  # as above

    cassette = Cassette.open(Path(config.invocation_params.dir, folder))
    return CassetteReplay(cassette, lenient=bool(config.getoption("gump_replay_lenient")), delay=delay)
