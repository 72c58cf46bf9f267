"""`gump report`: show the figures of a run for each attempt."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pytest_gump.cli.command import add_command, add_json, add_run, positive
from pytest_gump.cli.report_text import STALLS_HEAD, stall_cells, write_report
from pytest_gump.cli.runs import Unreadable, all_runs, find, read_runs
from pytest_gump.engine.reporting.report_data import report_data
from pytest_gump.engine.reporting.summary import runs_data
from pytest_gump.errors import ConfigError, RunError
from pytest_gump.units import format_duration, format_usd, format_usd_sum, plural

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out


Data = dict[str, Any]
BAR = 20
"""Length of the longest bar in characters."""


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "report",
        description="Show the attempts of a run by step: agent, outcome, cost, tokens, longest context, turns, time, "
        "files and lines, and the reason of each retry. Totals include failed attempts. ~ marks a cost that is "
        "estimated from tokens, and $? an unknown cost.",
        examples="  gump report\n  gump report 7f3a\n  gump report --json | jq .totals.cost.usd\n"
        "  gump report --last 20",
        execute=execute,
    )
    add_run(parser)
    parser.add_argument("--last", type=positive, metavar="N", help="summarize the newest N runs")
    add_json(parser, "docs/reference/report-json.md")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    if arguments.last is not None:
        return _report_last(arguments, out)
    run = find(arguments.run)
    data = report_data(run.record, run.header, state=run.state)
    if arguments.json:
        out.json(data)
    else:
        write_report(data, out)
    return 0


def _report_last(arguments: argparse.Namespace, out: Out) -> int:
    if arguments.run is not None:
        raise ConfigError("--last cannot be combined with RUN")
    records, problems = [], []
    for run in read_runs(islice(all_runs(), arguments.last)):
        if isinstance(run, Unreadable):
            problems.append(run.problem)
        else:
            records.append(run.record)
    if not records and not problems:
        find(None)  # raises the error for a project without runs
    if not records:
        raise RunError(f"the newest {plural(len(problems), 'run')} cannot be read", hint="gump status shows why")
    data = runs_data(records)
    if arguments.json:
        out.json(data)
        return 0
    _write_last(data, out)
    for problem in problems:
        out.line(f"note: {problem}")
    return 0


def _write_last(data: Data, out: Out) -> None:
    cost = data["cost"]
    dollars = format_usd(cost["usd"], estimated=cost["estimated"])
    unknown = f" + {plural(cost['unknown_attempts'], 'attempt')} of unknown cost" if cost["unknown_attempts"] else ""
    out.line(f"{plural(data['runs'], 'run')} of {', '.join(data['workflows'])}: {data['passed']} passed")
    out.line(f"{dollars}{unknown}, {format_usd(cost['average_usd'], estimated=cost['estimated'])} per run")
    average = format_duration(data["duration_s"]["average"])
    out.line(f"{average} per run, {plural(data['attempts'], 'attempt')}, {data['retries']} retried")
    rows = [
        (
            step["step"],
            step["agent"],
            str(step["attempts"]),
            str(step["passed"]),
            format_usd(step["cost_usd"], estimated=cost["estimated"]),
            format_duration(step["duration_s"]),
        )
        for step in data["steps"]
    ]
    head = ("step", "agent", "attempts", "passed", "cost", "time")
    out.table(head, rows, right=("attempts", "passed", "cost", "time"))
    _write_turns(data["steps"], out)
    _write_trend(data["trend"], out)


def _write_turns(steps: list[Data], out: Out) -> None:
    """Write what the turns of each step and agent did. The first write is the median over the attempts."""
    rows = [
        (
            step["step"],
            step["agent"],
            str(step["turns"]),
            *stall_cells(step),
            "" if step["first_write_s"] is None else format_duration(step["first_write_s"]),
            format_duration(step["longest_silence_s"]),
        )
        for step in steps
        if step["turns"]
    ]
    if rows:
        out.heading("turns and tool calls")
        right = ("turns", *STALLS_HEAD)
        out.table(("step", "agent", *right), rows, right=right, optional=("silence", "other", "text", "agent"))


def _write_trend(trend: list[Data], out: Out) -> None:
    """Write a bar chart of the runs' costs, oldest run first."""
    most = max(run["cost"]["usd"] for run in trend)
    rows = [
        (
            run["run"],
            run["status"],
            format_usd_sum(
                run["cost"]["usd"],
                estimated=run["cost"]["provenance"] == "estimated",
                has_unknown=run["cost"]["unknown_attempts"] > 0,
            ),
            format_duration(run["duration_s"]),
            "#" * round(BAR * run["cost"]["usd"] / most) if most else "",
        )
        for run in trend
    ]
    out.heading("cost of each run")
    out.table(("run", "status", "cost", "time", ""), rows, right=("cost", "time"))
