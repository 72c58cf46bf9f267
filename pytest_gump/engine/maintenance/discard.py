"""`gump discard`: remove all refs and files of a run, except its folder with the ledger."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_gump.engine.run.run_branch import branch_holder, branches_of, has_other_work, result_ref
from pytest_gump.errors import RunError
from pytest_gump.system import files
from pytest_gump.system.git.ref_names import BRANCHES, HEADS, branch_name, branch_ref, run_refs
from pytest_gump.system.git.upkeep import clear_ref_folder, delete_refs

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.record.ledger import Ledger
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.engine.record.stored_run import StoredRun
    from pytest_gump.system.git.repository import Repository


@dataclass(frozen=True, slots=True)
class Discarded:
    removed: tuple[str, ...]
    """Full names of the removed refs."""
    kept: tuple[str, ...]
    """Branches of the run that were moved by someone else or are checked out."""


def discard(repository: Repository, run: StoredRun, ledger: Ledger, *, slots: Path, force: bool = False) -> Discarded:
    """Delete the run's branches, refs and scratch folder, and record that in the ledger.

    Raises:
        RunError: The run is running, its branch is checked out, or the branch holds commits of others (without
            `force`).
    """
    run.refuse_running(hint="stop it first: Ctrl-C")
    record = run.record
    made, result = branches_of(repository, record), result_ref(record)
    if result in made:
        _refuse_branch(repository, record, made[result], force=force)
    mine = {ref: at for ref, at in made.items() if ref == result or branch_holder(repository, ref) is None}
    all_made = {branch_ref(name) for name in record.branches}
    kept = [ref for ref in repository.refs(BRANCHES) if ref in all_made and ref not in mine]
    found = {**mine, **repository.refs(run_refs(record.run_id))}
    delete_refs(repository, found)
    clear_ref_folder(repository, record.run_id)
    with contextlib.suppress(OSError):
        files.remove(slots / f"{record.run_id}.scratch")
    ledger.append("discarded", refs=len(found))
    return Discarded((*found,), tuple(ref.removeprefix(HEADS) for ref in kept))


def _refuse_branch(repository: Repository, record: RunRecord, head: str, *, force: bool) -> None:
    name = record.branch or branch_name(record.run_id)
    where = branch_holder(repository, branch_ref(name))
    if where == repository.root:
        raise RunError(f"branch {name} is checked out", hint="switch to another branch first: git switch BRANCH")
    if where is not None:
        hint = f"switch to another branch there: git -C {where} switch BRANCH; or git worktree remove {where}"
        raise RunError(f"branch {name} is checked out in {where}", hint=hint)
    if not force and has_other_work(repository, record, head):
        raise RunError(
            f"branch {name} holds commits that the run did not make, and no other branch holds them",
            hint=f"git branch NAME {name} keeps them; --force removes them too",
        )
