"""Whether the last of many items, steps, decisions and stored runs take as long as the first ones."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Cost, alternate, least
from pytest_gump.engine.schedule.schedule import Schedule
from pytest_gump.order import AttemptResult, Outcome, PlanItem, Timings
from pytest_gump.workflow.model import Step, Workflow
from scene import Project, python, workspace
from targets import Measured, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
ITEMS = {"growth/items": 400, "growth/1,000-items": 1000, "growth/10,000-items": 10_000}
WARM_UP = 10
"""Attempts at the start that are not counted, because modules are imported in them."""
STEP = "  - {{name: step-{number}, agent: writer, allow_no_change: true, prompt: Write., gate: ['bash: true']}}\n"


def measure(rounds: int, names: list[str]) -> Iterator[Measured]:
    for name, count in ITEMS.items():
        if name in names:
            yield items(name, count)
    if "growth/1,000-steps" in names:
        yield steps(1000)
    if "growth/schedule" in names:
        yield schedule(10_000)
    if {"growth/runs", "growth/status", "growth/report"}.intersection(names):
        yield from runs(10_000, rounds)


def items(name: str, count: int) -> Measured:
    with workspace() as folder:
        project = Project.make(folder, items=count)
        project.items(parallel=True)
        return last_to_first(name, project, "--gump-workflow=items", "-o", f"gump_max_items={count}")


def steps(count: int) -> Measured:
    with workspace() as folder:
        project = Project.make(folder)
        project.workflow("steps", "name: steps\nsteps:\n" + "".join(STEP.format(number=one) for one in range(count)))
        return last_to_first("growth/1,000-steps", project, "--gump-workflow=steps")


def last_to_first(name: str, project: Project, *words: str) -> Measured:
    """Measure the controller's CPU time for the last 100 attempts, divided by that for the first 100."""
    trace = project.path.parent / "trace.json"
    words = ("-p", "controller_trace", *words, "spec.md")
    project.pytest(*words, PYTHONPATH=str(HERE), CONTROLLER_TRACE=str(trace))
    attempts = [attempt_ms / work_ms for attempt_ms, work_ms in json.loads(trace.read_text())]
    return number(name, windows(attempts[WARM_UP:], 100))


def windows(costs: Sequence[float], size: int) -> float:
    return sum(costs[-size:]) / sum(costs[:size])


def schedule(count: int) -> Measured:
    """Measure decisions without a session. Up to 32 items are in flight."""
    plan = tuple(PlanItem(name=f"i{one}", slug=f"i{one}") for one in range(count))
    inner = (Step(name="a", agent="x"), Step(name="b", agent="x"))
    first = Step(name="plan", agent="x", output="plan")
    steps = (first, Step(name="build", foreach="plan", parallel=True, steps=inner))
    decisions = Schedule(Workflow(name="w", steps=steps), base="base")
    in_flight, costs = list(decisions.ready(1)), []
    while in_flight:
        began = time.process_time()
        ready = in_flight.pop(0)
        decisions.start(ready.path)
        result = AttemptResult(
            str(ready.path), ready.attempt, Outcome.PASSED, "", ready.agent, Timings(0.0, 0.0),
            plan=plan if ready.mode == "plan" else None,
        )  # fmt: skip
        decisions.complete(ready.path, result, "c", lambda _step, _path, _failures, own: own)
        if not in_flight:
            in_flight = list(decisions.ready(32))
        costs.append(time.process_time() - began)
    each_ms = 1000 * sum(costs[-count // 10 :]) / (count // 10)
    floors = [python("-c", "pass", cwd=HERE) for _ in range(3)]
    return Measured("growth/schedule", (Cost(each_ms, each_ms),) * 3, tuple(floors))


def runs(count: int, rounds: int) -> Iterator[Measured]:
    """Measure one step, `gump status` and `gump report --last` with `count` finished runs, and with a tenth of them."""
    with workspace() as few_folder, workspace() as many_folder:
        few, many = Project.make(few_folder), Project.make(many_folder)
        for project, copies in ((few, count // 10), (many, count)):
            project.pytest("--gump-workflow=one", "spec.md")
            copy_run(project.newest_run(), copies)
        for name, words in (("status", ("status",)), ("report", ("report", "--last", str(count)))):
            costs = alternate(
                rounds,
                {
                    "python": lambda: python("-c", "pass", cwd=few.path),
                    "few": partial(few.gump, *words),
                    "many": partial(many.gump, *words),
                },
            )
            bare, small, large = (least(costs[one]) for one in ("python", "few", "many"))
            yield Measured(f"growth/{name}", [(large - bare).over((small - bare) * 10)])
        costs = alternate(
            rounds,
            {
                "few": lambda: few.pytest("--gump-workflow=one", "spec.md"),
                "many": lambda: many.pytest("--gump-workflow=one", "spec.md"),
            },
        )
        yield Measured("growth/runs", [least(costs["many"]).over(least(costs["few"]))])


def copy_run(original: Path, copies: int) -> None:
    """Copy a run under other ids. The copies have no attempt folders, because no measured command reads them."""
    header, ledger = json.loads((original / "run.json").read_text()), (original / "ledger.ndjson").read_text()
    for one in range(copies):
        run_id = f"20260101-{one:06d}-one-{one:04x}"
        folder = original.with_name(run_id)
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({**header, "run_id": run_id}, indent=2))
        (folder / "ledger.ndjson").write_text(ledger.replace(original.name, run_id))
