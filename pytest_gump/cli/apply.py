"""`gump apply`: merge the result of a run into the current branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, add_run
from pytest_gump.cli.runs import Unreadable, all_runs, find, locked, read_runs
from pytest_gump.engine.maintenance.apply import apply, plan_apply
from pytest_gump.errors import RunError
from pytest_gump.units import plural

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.stored_run import StoredRun


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "apply",
        description="Merge the result of a run into the current branch. The merge commit has your name and email from "
        "git, and the title of the spec. Below it is one commit for each step that passed. Uncommitted changes are "
        "refused, and conflicts are reported before anything changes. Your git hooks do not run, and the commits are "
        "not signed.",
        examples="  gump apply                  the newest run that passed\n"
        "  gump apply 7f3a --squash    as one ordinary commit\n"
        "  gump apply 7f3a --force     the passed steps of a run that did not pass",
        execute=execute,
    )
    add_run(parser, default="the newest run that passed")
    parser.add_argument("--squash", action="store_true", help="create one ordinary commit instead of a merge")
    parser.add_argument("--force", action="store_true", help="apply the passed steps of a run that did not pass")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    with locked(newest_to_apply(out) if arguments.run is None else find(arguments.run)) as run:
        return _apply(run, arguments, out)


def _apply(run: StoredRun, arguments: argparse.Namespace, out: Out) -> int:
    repository = run.repository()
    how = {"squash": arguments.squash, "force": arguments.force}
    plan = plan_apply(repository, run, **how)
    if plan.commit is not None:
        ledger = run.ledger()
        apply(repository, plan, ledger)
        ledger.close()
        done = "squashed" if arguments.squash else "merged"
        where = repository.branch() or "the detached HEAD"
        out.line(f"{out.marks.passed} {done} run {run.id} into {where}: {plan.commit[:10]}", "green")
        added, removed = (sum(getattr(change, name) or 0 for change in plan.changed) for name in ("added", "removed"))
        out.line(f"  {plural(len(plan.steps), 'step')}, {plural(len(plan.changed), 'file')}, +{added} -{removed} lines")
    for note in plan.notes:
        out.line(f"note: {note}" if plan.commit else note)
    return 0


def newest_to_apply(out: Out) -> StoredRun:
    """Return the newest run that passed. Print a note for each newer run that did not.

    Raises:
        RunError: No run passed, or this run or a newer one is already applied.
    """
    done: StoredRun | None = None
    newer: list[StoredRun] = []
    for run in read_runs(all_runs(), results=True):
        if isinstance(run, Unreadable) or run.record.discarded:
            continue
        if run.record.applied is not None:
            done = done or run
        elif run.state != "passed":
            newer.append(run)
        else:
            if done is None:
                for other in newer:
                    out.line(f"note: the newer run {other.id} has status {other.state} and is not merged", "yellow")
                return run
            raise _already_applied(done, f"gump apply {run.id} merges the older run {_what(run)}")
    if done is not None:
        raise _already_applied(done, "gump status lists all runs")
    newest = find(None)
    status = "discarded" if newest.record.discarded else newest.state
    others = {"running": "", "passed": "", "discarded": "", "awaiting": "gump approve, then pytest --gump-resume; "}
    more = others.get(status, f"gump apply {newest.id} --force merges its steps that passed; ")
    raise RunError(
        f"there is no run to apply: the newest run {newest.id} has status {status}",
        hint=f"{more}gump status lists all runs",
    )


def _already_applied(run: StoredRun, hint: str) -> RunError:
    commit = str(run.record.applied)[:10]
    return RunError(f"run {run.id} is already applied as {commit}", hint=hint)


def _what(run: StoredRun) -> str:
    return f"{run.record.workflow} on {run.record.spec}"
