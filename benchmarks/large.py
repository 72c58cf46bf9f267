"""A repository of 50,000 files: one step with a new and with an existing worktree, one more item, parallel items."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from items import one_more, snapshots
from measure import Cost, alternate
from scene import Project, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder, files=50_000)
        if {"large/first", "large/again"}.intersection(names):
            yield from one_step(project, rounds)
        if "large/item" in names:
            yield one_more(project, "large/item", few=2, many=10, rounds=rounds)
        if "large/parallel" in names:
            yield ten_items(project, rounds)


def one_step(project: Project, rounds: int) -> Iterator[Measured]:
    def session() -> Cost:
        return project.pytest("--gump-workflow=one", "spec.md")

    def first() -> Cost:
        shutil.rmtree(project.cache, ignore_errors=True)
        return session()

    session()
    costs = alternate(
        rounds,
        {
            "checkout": lambda: checkout(project),
            "first": first,
            "bare": project.bare,
            "snapshot": lambda: snapshots(project, 1),
            "again": session,
        },
        warm_up=False,
    )
    floors = tuple(bare + snapshot for bare, snapshot in zip(costs["bare"], costs["snapshot"], strict=True))
    yield Measured("large/first", costs["first"], floors, less=costs["checkout"])
    yield Measured("large/again", costs["again"], floors)


def checkout(project: Project) -> Cost:
    folder = project.path.parent / "checkout"
    cost = project.git("worktree", "add", "--quiet", "--detach", str(folder))
    shutil.rmtree(folder)
    project.git("worktree", "prune")
    return cost


def ten_items(project: Project, rounds: int) -> Measured:
    project.items(parallel=True)
    project.plan(10)
    costs = alternate(
        rounds,
        {
            "bare": project.bare,
            "snapshot": lambda: snapshots(project, 1),
            "ten": lambda: project.pytest("--gump-workflow=items", "spec.md"),
        },
    )
    floors = tuple(bare + one * 10 for bare, one in zip(costs["bare"], costs["snapshot"], strict=True))
    return Measured("large/parallel", costs["ten"], floors)
