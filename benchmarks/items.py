"""One more plan item: the cost of a run of many items minus that of a run of few items."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from measure import Cost, alternate
from scene import Project, workspace
from targets import Measured, number

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = ("--gump-workflow=items", "spec.md")


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder)
        project.pytest("--gump-workflow=one", "spec.md")
        if "items/one" in names:
            yield one_more(project, "items/one", few=10, many=40, rounds=rounds)
        if "items/git" in names:
            yield number("items/git", (git_processes(project, 40) - git_processes(project, 10)) / 30)


def git_processes(project: Project, items: int) -> int:
    project.items()
    project.plan(items)
    return len(project.git_commands(*WORDS))


def one_more(project: Project, name: str, *, few: int, many: int, rounds: int) -> Measured:
    """Measure one more item.

    CPU time is the difference between the two runs. Wall time is the median time from the start of an item to the start
    of the next, in the ledger of the run of many items.
    """
    project.items()
    between: list[float] = []

    def session(items: int) -> Cost:
        project.plan(items)
        cost = project.pytest(*WORDS)
        if items == many:
            starts = [event["at"] for event in project.events("attempt_started")][1:]
            gaps = sorted(later - earlier for earlier, later in itertools.pairwise(starts))
            between.append(1000 * gaps[len(gaps) // 2])
        return cost

    costs = alternate(
        rounds,
        {"few": lambda: session(few), "floor": lambda: snapshots(project), "many": lambda: session(many)},
        warm_up=False,
    )
    both = [Cost(cost.cpu_ms, gap_ms * (many - few)) for cost, gap_ms in zip(costs["many"], between, strict=True)]
    less = [Cost(cost.cpu_ms, 0) for cost in costs["few"]]
    return Measured(name, both, costs["floor"], less=less, parts=many - few)


def snapshots(project: Project, count: int = 5) -> Cost:
    return sum((project.snapshot() for _ in range(count)), Cost(0, 0)) * (1 / count)
