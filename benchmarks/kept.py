"""Older targets: collection of many workflows, and resume of long runs. Measured only with --full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from measure import Cost, alternate
from scene import Project, output, workspace
from targets import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES, STEPS, ITEMS = 1000, 20, 1000
STEP = """\
  - name: step-{number}
    agent: claude-haiku
    output: diff
    prompt: |
      Part {number} of {{spec}}.
      {{error}}
    guard: {{ max_turns: 40, max_budget: 0.5 }}
    gate: [compile, test]
    on_failure: {{ retry: 2, strategy: [same, "escalate: claude-sonnet"] }}
"""
EVENTS = """\
import sys, time, yaml
cpu, began = time.process_time(), time.perf_counter()
for name in sys.argv[1:]:
    for _ in yaml.parse(open(name), Loader=yaml.CSafeLoader):
        pass
print(1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - began))
"""
AGAIN = """\
name: again
steps:
  - {{name: plan, agent: planner, output: plan, prompt: Plan.}}
  - name: build
    foreach: plan
    steps:
      - {{name: change, agent: writer, prompt: "{{item.name}}"}}
  - {{name: last, gate: ["bash: false"]}}
"""


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    if "kept/collect" in names:
        yield collect(rounds)
    if "kept/resume" in names:
        yield resume(rounds)


def collect(rounds: int) -> Measured:
    """Collect 1,000 workflow files that are named on the command line. The floor is PyYAML's events for these files."""
    with workspace() as folder:
        project = Project.make(folder)
        steps = "".join(STEP.format(number=number) for number in range(STEPS))
        names = [f"w{number:04d}.yaml" for number in range(FILES)]
        for name in names:
            (project.path / name).write_text(f"name: {name[:-5]}\nsteps:\n{steps}")
        costs = alternate(
            rounds,
            {
                "floor": lambda: Cost(*map(float, output("-c", EVENTS, *names, cwd=project.path).split())),
                "collect": lambda: project.pytest("--collect-only", "-qq", "--gump-spec=spec.md", *names),
            },
        )
        return Measured("kept/collect", costs["collect"], costs["floor"])


def resume(rounds: int) -> Measured:
    """Resume a run whose last step failed. All other steps are reused."""
    with workspace() as one_folder, workspace() as many_folder:
        one, many = Project.make(one_folder), Project.make(many_folder, items=ITEMS)
        for project in (one, many):
            project.workflow("again", AGAIN.format())
            project.pytest("--gump-workflow=again", "-o", f"gump_max_items={ITEMS}", "spec.md", expect=1)
        costs = alternate(
            rounds,
            {
                "floor": one.snapshot,
                "one": lambda: one.pytest("--gump-resume", "--gump-no-preflight", expect=1),
                "many": lambda: many.pytest("--gump-resume", "--gump-no-preflight", expect=1),
            },
        )
        return Measured("kept/resume", costs["many"], costs["floor"], less=costs["one"], parts=ITEMS - 1)
