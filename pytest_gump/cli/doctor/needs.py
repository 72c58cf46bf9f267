"""Prerequisites of a workflow: its agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_gump.agents import registry
from pytest_gump.agents.family import FAMILIES
from pytest_gump.cli.doctor.checks import Check
from pytest_gump.system.environment import home
from pytest_gump.workflow.edit import agents_of
from pytest_gump.workflow.find import find_workflow
from pytest_gump.workflow.load import load_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_gump.agents.base import Agent
    from pytest_gump.cli.effective import Names
    from pytest_gump.workflow.model import Workflow


@dataclass(frozen=True, slots=True)
class Needs:
    workflow: Workflow
    agents: Mapping[str, Agent]
    clis: tuple[str, ...]
    """CLIs of the agents that have a built-in adapter."""
    checks: tuple[Check, ...]


def read_needs(name: str, root: Path, names: Names) -> Needs:
    """Read a workflow like a run.

    Raises:
        GumpError: The workflow does not exist or is invalid.
    """
    loaded = load_workflow(
        find_workflow(name, root, home()),
        project=root,
        home=home(),
        gates=names.gates,
        agents=lambda agent: registry.problem(agent, names.agents),
        same_cli=lambda first, second: registry.same_cli(first, second, names.agents),
        models_of=lambda agent: registry.models_of(agent, names.agents),
    )
    agents = {agent: registry.resolve(agent, names.agents) for agent in dict.fromkeys(agents_of(loaded.workflow))}
    clis = dict.fromkeys(agent.cli for agent in agents.values() if agent.cli in FAMILIES)
    checks = tuple(_agents(agents))
    return Needs(loaded.workflow, agents, tuple(clis), checks)


def _agents(agents: Mapping[str, Agent]) -> Iterator[Check]:
    for name, agent in agents.items():
        missing = agent.missing()
        value = f"can start ({agent.cli})" if missing is None else missing
        yield Check(f"agent {name}", "ok" if missing is None else "failed", value)
