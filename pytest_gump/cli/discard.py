"""`gump discard`: remove the branch, snapshots and scratch folder of a run."""

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
        description="Remove the branch and the snapshots (refs/gump/RUN) of a run. Its folder in .gump/runs is kept, "
        "with the ledger and its costs. A run is refused if its branch is checked out, or has commits of yours that "
        "are on no other branch.",
        examples="  gump discard 7f3a\n  gump discard 7f3a --force    even if its branch has commits of yours",
        execute=execute,
    )
    parser.add_argument("run", metavar="RUN", help="run id, or its start or end")
    parser.add_argument("--force", action="store_true", help="remove the branch even if it has commits of yours")


def execute(arguments: argparse.Namespace, out: Out) -> int:
    with locked(find(arguments.run)) as run:
        return _discard(run, arguments, out)


def _discard(run: StoredRun, arguments: argparse.Namespace, out: Out) -> int:
    if run.record.discarded:
        out.line(f"run {run.id} is already discarded")
        return 0
    repository = run.repository()
    slots = worktrees(repository)
    with closing(run.ledger()) as ledger:
        discarded = discard(repository, run, ledger, slots=slots, force=arguments.force)
    out.line(f"{out.marks.passed} discarded run {run.id}: {_what(discarded.removed)}", "green")
    for branch in discarded.kept:
        out.line(f"  branch {branch} is kept, because it was moved or is checked out")
    out.line(f"  its ledger is kept in {run.folder.path}")
    return 0


def _what(removed: Sequence[str]) -> str:
    branches = sum(name.startswith("refs/heads/") for name in removed)
    refs = sum(name.startswith("refs/gump/") and "/commits/" not in name and name[-5:] != "/head" for name in removed)
    counts = [plural(branches, "branch", "branches")] if branches else []
    counts += [plural(refs, "snapshot")] if refs else []
    return ", ".join(counts) or "it had no branch and no snapshots"
