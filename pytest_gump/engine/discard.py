"""What `gump discard` does: everything of a run goes, except its folder with the ledger."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_gump.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.ledger import Ledger
    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.system.worktree import Repository


def discard(repository: Repository, record: RunRecord, ledger: Ledger, *, state: str, slots: Path) -> list[str]:
    """Delete the run's branch and refs and record that; gives the names of what was deleted.

    Raises:
        RunError: the run is running, or its branch is checked out.
    """
    if state == "running":
        raise RunError(f"run {record.run_id} is still running (pid {record.pid})", hint="stop it first: Ctrl-C")
    branch = f"gump/{record.run_id}"
    if repository.branch() == branch:
        raise RunError(f"branch {branch} is checked out", hint="git switch to another branch first")
    found = [*repository.refs(f"refs/heads/{branch}"), *repository.refs(f"refs/gump/{record.run_id}")]
    for ref in found:
        repository.delete_ref(ref)
    shutil.rmtree(slots / f"{record.run_id}.scratch", ignore_errors=True)
    ledger.append("discarded", refs=len(found))
    return found
