"""Measure what it costs to run steps side by side. See README.md.

Times are taken between events of the ledger: from the end of the plan step to the last decision, so that neither start
nor end of the session count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import AttemptResult, Outcome, PlanItem, Timings
from pytest_gump.workflow.model import Step, Workflow
from scene import ENVIRONMENT, Project, median, show, workspace

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.records import Ready

WORKFLOW = """\
name: side
steps:
  - {{name: plan, agent: {planner}, output: plan, prompt: Plan.}}
  - name: build
    foreach: plan
    parallel: {parallel}
    steps:
      - {{name: change, agent: {agent}, prompt: "{{item.name}}", gate: ["bash: true"]}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["sleepers", "many", "large", "memory", "schedule"])
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    measures = {
        "sleepers": measure_sleepers,
        "many": measure_many,
        "large": measure_large,
        "memory": measure_memory,
        "schedule": measure_schedule,
    }
    for name in arguments.what:
        measures[name](arguments.repeat)


@dataclass(frozen=True)
class Scene:
    project: Project

    def took(self, agent: str, *options: str, parallel: bool = True, planner: str = "planner") -> float:
        """Seconds from the moment at which the plan is known to the last decision."""
        text = WORKFLOW.format(agent=agent, planner=planner, parallel=str(parallel).lower())
        self.project.workflow("side", text)
        words = ("--gump-workflow=side", "--gump-no-preflight", "-o", "gump_max_items=1000")
        self.project.pytest(*words, *options, "spec.md")
        ledger = (self.project.newest_run() / "ledger.ndjson").read_text().splitlines()
        decided = [event["at"] for event in map(json.loads, ledger) if event["event"] == "decided"]
        return float(decided[-1] - decided[0])


def measure_sleepers(repeat: int) -> None:
    for items, target in ((8, 2600.0), (32, None)):
        with workspace() as folder:
            scene = Scene(Project.make(folder, items=items))
            scene.took("idle", f"-n{items}")
            slow = "slow-planner"  # workers start while the first steps run
            took = median([scene.took("sleeper", f"-n{items}", planner=slow) for _ in range(repeat)])
        show(f"{items} items of an agent that sleeps 2 s, -n {items}, merged", 1000 * took, "ms", target=target)


def measure_many(_repeat: int) -> None:
    items = 200
    with workspace() as folder:
        scene = Scene(Project.make(folder, items=items))
        serial = 1000 * scene.took("writer", "-n0", parallel=False) / items
        alone = 1000 * scene.took("writer", "-n0") / items
        side = 1000 * scene.took("writer", "-n8") / items
    show(f"{items} items in order, time per item", serial, "ms")
    show(f"{items} parallel items, no workers, time per item", alone, "ms")
    show(f"{items} parallel items, -n 8, time per item", side, "ms", target=2 * serial)


def measure_large(_repeat: int) -> None:
    with workspace() as folder:
        scene = Scene(Project.make(folder, files=50_000, items=10))
        serial = 1000 * scene.took("sleeper", "-n0", parallel=False)
        cache = folder / "cache"
        subprocess.run(["rm", "-rf", cache], check=True)
        cold = 1000 * scene.took("sleeper", "-n4")
        warm = 1000 * scene.took("sleeper", "-n4")
    show("50,000 files: ten items of 2 s in order", serial, "ms")
    show("50,000 files: ten parallel items, -n 4, no worktrees yet", cold, "ms", target=serial + 2000)
    show("50,000 files: ten parallel items, -n 4, worktrees there", warm, "ms", target=serial)


def measure_memory(_repeat: int) -> None:
    for items in (100, 1000):
        with workspace() as folder:
            project = Project.make(folder, items=items)
            project.workflow("side", WORKFLOW.format(agent="writer", planner="planner", parallel="true"))
            sizes = watch(project, 4)
        for name, size in sizes.items():
            show(f"memory (PSS) at most, {items} items, -n 4: {name}", size / 1e6, "MB")


def watch(project: Project, workers: int) -> dict[str, float]:
    """The most memory of the controller and of one worker while a run goes on."""
    environment = {**ENVIRONMENT, "XDG_CACHE_HOME": str(project.path.parent / "cache")}
    words = [sys.executable, "-m", "pytest", "-q", "--gump-workflow=side", "-o", "gump_max_items=1000"]
    most = {"controller": 0.0, "worker": 0.0}
    with subprocess.Popen(
        [*words, f"-n{workers}", "spec.md"], cwd=project.path, env=environment, stdout=subprocess.DEVNULL
    ) as session:
        controller = psutil.Process(session.pid)
        while session.poll() is None:
            time.sleep(0.2)
            for process in [controller, *children(controller)]:
                name = "controller" if process.pid == session.pid else "worker"
                most[name] = max(most[name], pss(process.pid))
    if session.returncode:
        sys.exit(f"{' '.join(words)}: exit code {session.returncode}")
    return most


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [one for one in process.children() if "sys.stdin.readline" in " ".join(one.cmdline())]
    except psutil.Error:
        return []


def pss(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:  # noqa: PTH123
            return float(sum(1024 * int(line.split()[1]) for line in file if line.startswith("Pss:")))
    except OSError:
        return 0.0


def measure_schedule(_repeat: int) -> None:
    plan = tuple(PlanItem(name=f"i{number}", slug=f"i{number}") for number in range(10_000))
    steps = (
        Step(name="plan", agent="x", output="plan"),
        Step(name="build", foreach="plan", parallel=True, steps=(Step(name="a", agent="x"), Step(name="b", agent="x"))),
    )
    schedule = Schedule(Workflow(name="w", steps=steps), base="base")
    flying: list[Ready] = []
    ready_s = complete_s = 0.0
    calls = 0
    while not schedule.done:
        began = time.perf_counter()
        offered = schedule.ready(32 - len(flying))
        ready_s += time.perf_counter() - began
        for ready in offered:
            schedule.start(ready.path)
            flying.append(ready)
        ready = flying.pop(0)
        result = AttemptResult(
            str(ready.path), ready.attempt, Outcome.PASSED, "", ready.agent, Timings(0.0, 0.0),
            plan=plan if ready.mode == "plan" else None,
        )  # fmt: skip
        began = time.perf_counter()
        schedule.complete(ready.path, result, "c", lambda _step, _path, _failures, own: own)
        complete_s += time.perf_counter() - began
        calls += 1
    show("Schedule with 10,000 plan items: ready()", 1000 * ready_s / calls, "ms", target=1)
    show("Schedule with 10,000 plan items: complete()", 1000 * complete_s / calls, "ms", target=1)


if __name__ == "__main__":
    main()
