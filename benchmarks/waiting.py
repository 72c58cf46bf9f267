"""Eight parallel items whose agent sleeps for two seconds: the cost of waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import Cost, alternate
from scene import Project, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT_MS = 2000


def measure(rounds: int, _names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder, items=8)
        project.items(agent="sleeper", parallel=True)
        from_plan: list[float] = []

        def session() -> Cost:
            cost = project.pytest("--gump-workflow=items", "spec.md")
            decided = [event["at"] for event in project.events("decided")]
            from_plan.append(1000 * (decided[-1] - decided[0]) - AGENT_MS)
            return Cost(cost.cpu_ms, from_plan[-1])

        costs = alternate(rounds, {"bare": project.bare, "eight": session})
        for name in ("waiting/cpu", "waiting/wall"):
            yield Measured(name, costs["eight"], costs["bare"])
