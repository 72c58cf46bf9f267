"""What `gump discard` does: everything of a run goes, except its folder with the ledger."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_gump.engine.liveness import process_text
from pytest_gump.engine.run_branch import branch_ref, has_other_work, refuse_checked_out
from pytest_gump.errors import RunError
from pytest_gump.system.git_upkeep import clear_ref_folder, delete_refs

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.ledger import Ledger
    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.system.worktree import Repository


def discard(
    repository: Repository, record: RunRecord, ledger: Ledger, *, state: str, slots: Path, force: bool = False
) -> list[str]:
    """Delete the run's branch and refs and record that; gives the names of what was deleted.

    Raises:
        RunError: the run is running, or its branch is checked out or, unless by force, holds commits of others.
    """
    if state == "running":
        raise RunError(f"run {record.run_id} is still running{process_text(record)}", hint="stop it first: Ctrl-C")
    branch = repository.refs(branch_ref(record.run_id))
    _refuse_branch(repository, record, branch.get(branch_ref(record.run_id)), force=force)
    found = {**branch, **repository.refs(f"refs/gump/{record.run_id}")}
    delete_refs(repository, found)
    clear_ref_folder(repository, record.run_id)
    shutil.rmtree(slots / f"{record.run_id}.scratch", ignore_errors=True)
    ledger.append("discarded", refs=len(found))
    return [*found]


def _refuse_branch(repository: Repository, record: RunRecord, head: str | None, *, force: bool) -> None:
    name = f"gump/{record.run_id}"
    refuse_checked_out(repository, record.run_id)
    if not force and has_other_work(repository, record, head):
        raise RunError(
            f"branch {name} holds commits that the run did not make, and no other branch holds them",
            hint=f"git branch NAME {name} keeps them; --force removes them too",
        )
