"""`gump doctor`: variables that are set here and not passed to agents and gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_gump.cli.doctor.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.agents.base import Agent
    from pytest_gump.settings.settings import Settings


def environment_checks(settings: Settings, agents: Iterable[Agent]) -> Iterator[Check]:
    """Name variables of clouds and toolchains that are not passed. Whether anything needs them is unknown."""
    from pytest_gump.cli.doctor.agents import environment_of
    from pytest_gump.engine.checks.withheld import hint, needed_often
    from pytest_gump.system.environment import child_environment

    passed = set(settings.agent_env).union(*(environment_of(agent, Path.cwd()) for agent in agents))
    kept = (
        ("agents", passed, "gump_agent_env"),
        ("gates", child_environment(settings.gate_env), "gump_gate_env"),
    )
    for whose, names, setting in kept:
        if found := needed_often(names):
            yield Check(f"environment of {whose}", "note", hint(found, whose, setting))
