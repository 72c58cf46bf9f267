"""`--gump-on-quota`: taken into the settings, and refused at once where it cannot be followed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.agents import registry
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    import pytest

    from pytest_gump.jobs.job import Job
    from pytest_gump.settings.settings import Settings


def settle_on_quota(config: pytest.Config, settings: Settings, job: Job) -> Settings:
    """The settings with what the command line says of limits.

    Raises:
        AgentError: the agent that is to take over is not known, or cannot start here.
    """
    option = config.getoption("gump_on_quota")
    place = "gump_on_quota" if option is None else "--gump-on-quota"
    settings = settings if option is None else replace(settings, on_quota=str(option))
    for name in settings.failover:
        problem = registry.problem(name, job.agents, replayed=job.replay is not None) or job.agent(name).missing()
        if problem is not None:
            raise AgentError(f"{place}: {problem}", hint="wait, stop, or the name of an agent that takes over")
    return settings
