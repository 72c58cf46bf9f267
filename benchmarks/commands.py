"""The commands of `gump` that people wait for, in a project with one run of three items."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from measure import alternate
from scene import Project, python, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {
    "dry-run": ("run", "--dry-run", "--workflow=one", "spec.md"),
    "report": ("report",),
    "doctor": ("doctor",),
    "status": ("status",),
}


def measure(rounds: int, _names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder, items=3)
        project.items()
        project.pytest("--gump-workflow=items", "spec.md")
        costs = alternate(
            rounds,
            {
                "floor": lambda: python("-c", "pass", cwd=folder),
                **{name: partial(project.gump, *words) for name, words in COMMANDS.items()},
            },
        )
        for name in COMMANDS:
            yield Measured(f"commands/{name}", costs[name], costs["floor"])
