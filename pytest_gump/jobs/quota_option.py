"""`--gump-on-quota` and the setting `gump_on_quota`: agents that take over at a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.agents import registry
from pytest_gump.errors import AgentError

if TYPE_CHECKING:
    import pytest

    from pytest_gump.jobs.job import Job


def refuse_failover(config: pytest.Config, job: Job) -> None:
    """Refuse agents that cannot take over.

    Raises:
        AgentError: one is not known, or cannot start here.
    """
    name_of_option = "gump_on_quota" if config.getoption("gump_on_quota") is None else "--gump-on-quota"
    for name in job.settings.failover:
        problem = registry.problem(name, job.agents, replayed=job.replay is not None) or job.agent(name).missing()
        if problem is not None:
            raise AgentError(f"{name_of_option}: {problem}", hint="wait, stop, or the name of an agent that takes over")
