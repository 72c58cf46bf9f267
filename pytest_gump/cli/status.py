"""`gump status`: all runs at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, positive

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.cli.runs import KeptRun

DEFAULT = 20


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "status",
        summary="list all runs and how far they are",
        description=f"List the newest {DEFAULT} runs of the project: state, step, attempt, dollars, process. A "
        "run whose process is gone before it came to an end is `interrupted`.",
        examples="  gump status\n  gump status -n 5",
        execute=execute,
    )
    parser.add_argument(
        "-n", type=positive, metavar="N", default=DEFAULT, help=f"show the newest N runs (default: {DEFAULT})"
    )


def execute(arguments: argparse.Namespace, out: Out) -> int:
    from itertools import islice

    from pytest_gump.cli.runs import all_runs, read_run
    from pytest_gump.errors import RunError
    from pytest_gump.units import plural

    rows = []
    problems = []
    folders = all_runs()
    for folder in islice(folders, arguments.n):
        try:
            rows.append(_row(read_run(folder, results=False)))
        except RunError as error:
            rows.append((folder.run_id, "", "unreadable", "", "", "", "", ""))
            problems.append(str(error))
    if not rows:
        out.line("no runs yet; start one: gump run spec.md --workflow tdd")
        return 0
    head = ("run", "workflow", "state", "step", "attempt", "cost", "time", "pid")
    out.table(head, rows, right=("attempt", "cost", "time", "pid"))
    for problem in problems:
        out.line(f"note: {problem}")
    older = sum(1 for _ in folders)
    if older:
        out.line(f"{plural(older, 'older run')}: gump status -n {arguments.n + older}")
    return 0


def _row(run: KeptRun) -> tuple[str, ...]:
    import time

    from pytest_gump.units import format_duration, format_usd_sum

    record, total = run.record, run.record.total
    fate = "discarded" if record.discarded else "applied" if record.applied else ""
    state = f"{run.state}, {fate}" if fate else run.state
    is_running = run.state == "running"
    last = record.attempts[-1] if record.attempts and run.state != "passed" else None
    under_way = [one for one in record.attempts if one.usage is None]
    others = f" and {len(under_way) - 1} more" if len(under_way) > 1 else ""
    seconds = time.time() - record.started if is_running else record.duration_s
    cost = format_usd_sum(total.cost_usd, estimated=total.estimated, has_unknown=total.unknown > 0)
    return (
        run.id,
        record.workflow,
        state,
        f"{last.step}{others}" if last else "",
        str(last.attempt) if last else "",
        cost,
        format_duration(max(0.0, seconds)),
        str(record.pid) if is_running else "",
    )
