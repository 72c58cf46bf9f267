"""`gump status`: list the runs of a project."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, add_json, positive
from pytest_gump.cli.runs import Unreadable, all_runs, read_runs
from pytest_gump.engine.record.stored_run import StoredRun
from pytest_gump.engine.reporting.progress import seconds, where
from pytest_gump.engine.run.preflight import PREFLIGHT
from pytest_gump.units import clock_text, format_duration, plural

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out

DEFAULT = 20


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        description=f"List the newest {DEFAULT} runs of the project with status, step, attempt, cost, time and "
        "process id. A run is `interrupted` if its process ended before the run did.",
        examples="  gump status\n  gump status -n 5\n  gump status --json | jq -r '.runs[].id'",
        execute=execute,
    )
    parser.add_argument(
        "-n", type=positive, metavar="N", default=DEFAULT, help=f"show the newest N runs (default: {DEFAULT})"
    )
    add_json(parser, "docs/reference/commands.md")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    folders = all_runs()
    runs = [*read_runs(islice(folders, arguments.n))]
    older = sum(1 for _ in folders)
    if arguments.json:
        _write_json(runs, older, out)
    else:
        _write_table(runs, older, out)
    return 0


def _write_json(runs: list[StoredRun | Unreadable], older: int, out: Out) -> None:
    from pytest_gump.engine.reporting import status_schema
    from pytest_gump.engine.reporting.status_data import run_status

    now = time.time()
    data = {
        "schema": status_schema.SCHEMA,
        "runs": [run_status(run.record, state=run.state, now=now) for run in runs if isinstance(run, StoredRun)],
        "unreadable": [{"id": run.id, "problem": run.problem} for run in runs if isinstance(run, Unreadable)],
        "older": older,
    }
    out.json(data)


def _write_table(runs: list[StoredRun | Unreadable], older: int, out: Out) -> None:
    if not runs:
        out.line("no runs yet; start one: pytest --gump-workflow=tdd spec.md")
        return
    rows = [_row(run) if isinstance(run, StoredRun) else (run.id, "", "unreadable", *[""] * 5) for run in runs]
    head = ("run", "workflow", "status", "step", "attempt", "cost", "time", "pid")
    out.table(head, rows, right=("attempt", "cost", "time", "pid"))
    for run in runs:
        if isinstance(run, Unreadable):
            out.line(f"note: {run.problem}")
    if older:
        out.line(f"{plural(older, 'older run')}: gump status -n {len(runs) + older}")


def _step(run: StoredRun) -> tuple[str, str]:
    """The current or last step of a run and its attempt number. If there are several, the first and how many more."""
    if run.state == "failed" and run.record.stopped_at_preflight:
        return PREFLIGHT, ""
    at = where(run.record) if run.state != "passed" else []
    if not at:
        return "", ""
    first = at[0]
    others = f" and {len(at) - 1} more" if at[1:] else ""
    waits = run.state == "running" and first in run.record.waiting and first.until is not None
    wait = f" (waits for a limit until {clock_text(first.until or 0.0, time.time())})" if waits else ""
    answer = " (answered; resume the run)" if run.state == "awaiting" and not run.record.unanswered else ""
    return f"{first.step}{others}{wait}{answer}", str(first.attempt)


def _row(run: StoredRun) -> tuple[str, ...]:
    record, total = run.record, run.record.total
    fate = "discarded" if record.discarded else "applied" if record.applied else ""
    is_running = run.state == "running"
    step, attempt = _step(run)
    return (
        run.id,
        record.workflow,
        f"{run.state}, {fate}" if fate else run.state,
        step,
        attempt,
        total.cost_text,
        format_duration(seconds(record, now=time.time(), is_running=is_running)),
        str(record.pid) if is_running else "",
    )
