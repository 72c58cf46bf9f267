"""Collection of a workflow that calls another one often, compared with as many plain steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import Cost, alternate
from scene import Project, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS, STEPS = 1000, 10


def measure(rounds: int, _names: list[str]) -> Iterator[Measured]:
    with workspace() as folder:
        project = Project.make(folder)
        write(project, "called", [step(number) for number in range(STEPS)])
        write(project, "calls", [f"{{name: c{number}, workflow: ./called.yaml}}" for number in range(CALLS)])
        write(project, "plain", [step(number) for number in range(CALLS * STEPS)])
        costs = alternate(
            rounds,
            {
                "bare": project.bare,
                "plain": lambda: collect(project, "plain"),
                "calls": lambda: collect(project, "calls"),
            },
        )
        yield Measured("calls/collect", costs["calls"], costs["bare"], less=costs["plain"])
        yield Measured("calls/whole", costs["calls"], costs["bare"], less=costs["bare"])


def step(number: int) -> str:
    return f'{{name: s{number}, agent: writer, prompt: "Part {number} of {{spec}}."}}'


def write(project: Project, name: str, steps: list[str]) -> None:
    text = "".join(f"  - {text}\n" for text in steps)
    (project.path / f"{name}.yaml").write_text(f"name: {name}\nsteps:\n{text}", encoding="utf-8")


def collect(project: Project, name: str) -> Cost:
    return project.pytest("--collect-only", "-qq", "--gump-spec=spec.md", f"{name}.yaml")
