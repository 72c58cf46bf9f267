"""`gump report`: all figures of a run, attempt by attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, add_run

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "report",
        summary="show what a run did and cost, attempt by attempt",
        description="Show what a run did and cost: per step and attempt agent, outcome, cost, tokens, turns, "
        "time, files and lines, and why an attempt was made again. Totals are sums of all attempts, "
        "failed ones included. A cost with ~ was estimated from the tokens; $? is one that nobody "
        "knows.",
        examples="  gump report\n  gump report 7f3a\n  gump report --json | jq .totals.cost.usd",
        execute=execute,
    )
    add_run(parser)
    parser.add_argument("--json", action="store_true", help="for machines (docs/reference/report-json.md)")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.cli.runs import find
    from pytest_gump.engine.report_data import report_data

    run = find(arguments.run)
    data = report_data(run.record, run.header, state=run.state)
    if arguments.json:
        import json

        out.raw(json.dumps(data, indent=2) + "\n")
    else:
        from pytest_gump.cli.report_text import write_report

        write_report(data, out)
    return 0
