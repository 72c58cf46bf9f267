"""Inspect the branches of a run: users may check them out and add commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.errors import RunError
from pytest_gump.system.git.history import contains, is_ours, is_there
from pytest_gump.system.git.ref_names import BRANCHES, branch_name, branch_ref, run_refs
from pytest_gump.system.git.upkeep import checkouts, is_kept_elsewhere

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.system.git.repository import Repository


def result_ref(record: RunRecord) -> str:
    """Return the full name of the ref with the run's result."""
    name = record.branch or branch_name(record.run_id)
    return name if name.startswith("refs/") else branch_ref(name)


def branches_of(repository: Repository, record: RunRecord) -> dict[str, str]:
    """Return the branches of the run as refs with their commits, without branches that someone else moved."""
    refs = {branch_ref(name): name for name in {branch_name(record.run_id), *record.branches}}
    ours = sorted(ref for ref in refs if ref.startswith(f"{BRANCHES}/"))  # do not list the branches of other runs
    found = {ref: commit for ref, commit in repository.refs(*ours).items() if ref in refs} if ours else {}
    left = record.branches_left
    return {ref: at for ref, at in found.items() if refs[ref] not in left or is_of_run(repository, record, at)}


def branch_holder(repository: Repository, ref: str) -> Path | None:
    """Return the checkout that has the branch checked out, or has a rebase or bisect of it in progress, or None."""
    return next((checkout.path for checkout in checkouts(repository) if checkout.branch == ref), None)


def is_of_run(repository: Repository, record: RunRecord, head: str) -> bool:
    """True if the run itself moved its branch to this commit.

    After a kill, the branch may be older than the run's last commit, or newer than the last event in the ledger.
    """
    if head in record.heads or (record.head and contains(repository, record.head, head)):
        return True
    return f"Gump-Run: {record.run_id}" in repository.message_of(head).splitlines() and is_ours(repository, head)


def has_other_work(repository: Repository, record: RunRecord, head: str | None) -> bool:
    """True if commits of someone else would be lost with the branch. `head` is the branch's commit."""
    if head is None or is_of_run(repository, record, head):
        return False
    return not is_kept_elsewhere(repository, head)


def refuse_lost(repository: Repository, run_id: str, *commits: str) -> None:
    """Check that commits of a run still exist.

    Raises:
        RunError: The branch that held a commit was deleted, and git has removed the commit since.
    """
    lost = next((commit for commit in commits if not is_there(repository, commit)), None)
    if lost is not None:
        raise RunError(
            f"commit {lost[:10]} of run {run_id} is no longer in the repository: no branch held it",
            hint=f"commits of attempts may still exist: git for-each-ref {run_refs(run_id)}; "
            "the change of each attempt is in the diff.patch of its folder",
        )
