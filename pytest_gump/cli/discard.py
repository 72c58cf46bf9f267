"""`gump discard`: remove what a run left in git and in the cache."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from pytest_gump.cli.command import add_command
from pytest_gump.cli.effective import worktrees
from pytest_gump.cli.runs import find, locked
from pytest_gump.engine.maintenance.discard import discard
from pytest_gump.units import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_gump.cli.command import Commands
    from pytest_gump.cli.output import Out
    from pytest_gump.engine.record.stored_run import StoredRun


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "discard",
        description="Remove the branch, and the snapshots (refs/gump/RUN) of a run. Its folder "
        "below .gump/runs is kept: the ledger still says what was done and what it cost. Refuses a branch that is "
        "checked out, and one with commits that the run did not make and that are on no other branch.",
        examples="  gump discard 7f3a\n  gump discard 7f3a --force    commits that were added to its branch go too",
        execute=execute,
    )
    parser.add_argument("run", metavar="RUN", help="id of a run, or its beginning or end")
    parser.add_argument("--force", action="store_true", help="also a branch that somebody else has put commits on")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    with locked(find(arguments.run)) as run:
        return _discard(run, arguments, out)


def _discard(run: StoredRun, arguments: argparse.Namespace, out: Out) -> int:
    if run.record.discarded:
        out.line(f"run {run.id} has been discarded already")
        return 0
    repository = run.repository()
    slots = worktrees(repository)
    with closing(run.ledger()) as ledger:
        discarded = discard(repository, run, ledger, slots=slots, force=arguments.force)
    out.line(f"{out.marks.passed} discarded run {run.id}: {_what(discarded.removed)}", "green")
    for branch in discarded.kept:
        out.line(f"  branch {branch} is kept: somebody else moved it or has it checked out")
    out.line(f"  its ledger stays in {run.folder.path}")
    return 0


def _what(removed: Sequence[str]) -> str:
    branches = sum(name.startswith("refs/heads/") for name in removed)
    refs = sum(name.startswith("refs/gump/") and "/commits/" not in name and name[-5:] != "/head" for name in removed)
    counts = [plural(branches, "branch", "branches")] if branches else []
    counts += [plural(refs, "snapshot")] if refs else []
    return ", ".join(counts) or "nothing was left of it"
