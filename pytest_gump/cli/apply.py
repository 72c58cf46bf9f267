"""`gump apply`: merge the result of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command, add_run
from pytest_gump.errors import RunError

if TYPE_CHECKING:
    import argparse

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.cli.runs import KeptRun


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "apply",
        summary="merge the result of a run into what is checked out",
        description="Merge the result of a run into what is checked out: one merge commit over one commit for "
        "each step that passed. Refuses a checkout with uncommitted changes. A conflict is told "
        "before anything is touched.",
        examples="  gump apply                  the newest run that passed and was not applied\n"
        "  gump apply 7f3a --squash    one ordinary commit\n"
        "  gump apply 7f3a --force     the steps that passed, although the run did not",
        execute=execute,
    )
    add_run(parser, default="the newest that passed and was not applied")
    parser.add_argument("--squash", action="store_true", help="make one ordinary commit instead of a merge")
    parser.add_argument("--force", action="store_true", help="apply the passed steps of a run that did not pass")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.cli.runs import find, held

    with held(newest_to_apply() if arguments.run is None else find(arguments.run)) as run:
        return _apply(run, arguments, out)


def _apply(run: KeptRun, arguments: argparse.Namespace, out: Out) -> int:
    from pytest_gump.engine.apply import apply, plan_apply
    from pytest_gump.units import plural

    repository = run.repository()
    plan = plan_apply(
        repository, run.record, run.header, state=run.state, squash=arguments.squash, force=arguments.force
    )
    if plan.commit is not None:
        ledger = run.ledger()
        apply(repository, plan, ledger)
        ledger.close()
        how = "squashed" if arguments.squash else "merged"
        where = repository.branch() or "the detached HEAD"
        out.line(f"{out.marks.passed} {how} run {run.id} into {where}: {plan.commit[:10]}", "green")
        added, removed = (sum(getattr(one, name) or 0 for one in plan.changed) for name in ("added", "removed"))
        out.line(f"  {plural(len(plan.steps), 'step')}, {plural(len(plan.changed), 'file')}, +{added} -{removed} lines")
    for note in plan.notes:
        out.line(f"note: {note}" if plan.commit else note)
    return 0


def newest_to_apply() -> KeptRun:
    """The newest run that passed and was neither applied nor discarded.

    Raises:
        RunError: there is none; says what the newest one is.
    """
    from pytest_gump.cli.runs import all_runs, find, read_run

    for folder in all_runs():
        try:
            run = read_run(folder)
        except RunError:
            continue
        if run.state == "passed" and run.record.applied is None and not run.record.discarded:
            return run
    newest = find(None)
    fate = "discarded" if newest.record.discarded else "applied" if newest.record.applied else newest.state
    has_more = fate not in {"running", "passed", "applied", "discarded"}
    force = f"gump apply {newest.id} --force merges its steps that passed; " if has_more else ""
    raise RunError(
        f"there is no run to apply; the newest, {newest.id}, is {fate}", hint=f"{force}gump status shows all runs"
    )
