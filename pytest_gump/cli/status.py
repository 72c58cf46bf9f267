"""`gump status`: all runs at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, positive

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.stored_run import StoredRun

DEFAULT = 20


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        summary="list all runs and how far they are",
        description=f"List the newest {DEFAULT} runs of the project: state, step, attempt, dollars, process. A "
        "run whose process is gone before it came to an end is `interrupted`.",
        examples="  gump status\n  gump status -n 5\n  gump status --json | jq -r '.runs[].id'",
        execute=execute,
    )
    parser.add_argument(
        "-n", type=positive, metavar="N", default=DEFAULT, help=f"show the newest N runs (default: {DEFAULT})"
    )
    parser.add_argument("--json", action="store_true", help="for machines (docs/reference/commands.md)")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    from itertools import islice

    from pytest_gump.cli.runs import all_runs
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.errors import RunError

    runs: list[StoredRun | tuple[str, str]] = []
    folders = all_runs()
    for folder in islice(folders, arguments.n):
        try:
            runs.append(StoredRun.read(folder, results=False))
        except RunError as error:
            if not folder.path.exists():  # gump gc removed it just now
                continue
            runs.append((folder.run_id, str(error)))
    older = sum(1 for _ in folders)
    if arguments.json:
        _write_json(runs, older, out)
    else:
        _write_table(runs, older, out)
    return 0


def _write_json(runs: list[StoredRun | tuple[str, str]], older: int, out: Out) -> None:
    import json
    import time

    from pytest_gump.engine.reporting.status_data import run_status

    now = time.time()
    data = {
        "schema": 1,
        "runs": [run_status(one.record, state=one.state, now=now) for one in runs if not isinstance(one, tuple)],
        "unreadable": [{"id": one[0], "problem": one[1]} for one in runs if isinstance(one, tuple)],
        "older": older,
    }
    out.raw(json.dumps(data, indent=2) + "\n")


def _write_table(runs: list[StoredRun | tuple[str, str]], older: int, out: Out) -> None:
    from pytest_gump.units import plural

    if not runs:
        out.line("no runs yet; start one: gump run spec.md --workflow tdd")
        return
    rows = [(one[0], "", "unreadable", *[""] * 5) if isinstance(one, tuple) else _row(one) for one in runs]
    head = ("run", "workflow", "state", "step", "attempt", "cost", "time", "pid")
    out.table(head, rows, right=("attempt", "cost", "time", "pid"))
    for one in runs:
        if isinstance(one, tuple):
            out.line(f"note: {one[1]}")
    if older:
        out.line(f"{plural(older, 'older run')}: gump status -n {len(runs) + older}")


def _step(run: StoredRun) -> tuple[str, str]:
    """The step that the run is at, and the number of its attempt; of several the first and how many more."""
    import time

    from pytest_gump.engine.reporting.status_data import where
    from pytest_gump.engine.run.preflight import PREFLIGHT
    from pytest_gump.engine.run.quota import clock_text

    if run.state == "failed" and run.record.stopped_at_preflight:
        return PREFLIGHT, ""
    at = where(run.record) if run.state != "passed" else []
    if not at:
        return "", ""
    first = at[0]
    others = f" and {len(at) - 1} more" if at[1:] else ""
    waits = run.state == "running" and first in run.record.waiting and first.until is not None
    wait = f" (waits for a limit until {clock_text(first.until or 0.0, time.time())})" if waits else ""
    return f"{first.step}{others}{wait}", str(first.attempt)


def _row(run: StoredRun) -> tuple[str, ...]:
    import time

    from pytest_gump.engine.reporting.status_data import seconds
    from pytest_gump.units import format_duration

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
