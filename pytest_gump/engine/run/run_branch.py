"""The branches of a run, which the user may check out and extend: who has them checked out, and what else they hold."""

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
    """Full name of the ref that has the run's result."""
    name = record.branch or branch_name(record.run_id)
    return name if name.startswith("refs/") else branch_ref(name)


def branches_of(repository: Repository, record: RunRecord) -> dict[str, str]:
    """The branches that the run made, as refs with their commits; without those that somebody else moved."""
    refs = {branch_ref(name): name for name in {branch_name(record.run_id), *record.branches}}
    ours = sorted(ref for ref in refs if ref.startswith(f"{BRANCHES}/"))  # of many runs, only this one's are listed
    found = {ref: commit for ref, commit in repository.refs(*ours).items() if ref in refs} if ours else {}
    left = record.branches_left
    return {ref: at for ref, at in found.items() if refs[ref] not in left or is_of_run(repository, record, at)}


def branch_holder(repository: Repository, ref: str) -> Path | None:
    """The checkout in which the branch is checked out, or in which a rebase or bisect of it is in progress."""
    return next((checkout.path for checkout in checkouts(repository) if checkout.branch == ref), None)


def is_of_run(repository: Repository, record: RunRecord, head: str) -> bool:
    """Whether the run itself put its branch there: a killed run may have left it behind its last commit, and the
    ledger may have lost its newest events.
    """
    if head in record.heads or (record.head and contains(repository, record.head, head)):
        return True
    return f"Gump-Run: {record.run_id}" in repository.message_of(head).splitlines() and is_ours(repository, head)


def has_other_work(repository: Repository, record: RunRecord, head: str | None) -> bool:
    """True if commits of somebody else would be lost with the branch; `head` is its commit."""
    if head is None or is_of_run(repository, record, head):
        return False
    return not is_kept_elsewhere(repository, head)


def refuse_lost(repository: Repository, run_id: str, *commits: str) -> None:
    """Refuse commits of a run that are gone.

    Raises:
        RunError: the branch that held them was deleted, and git has cleared them away since.
    """
    lost = next((commit for commit in commits if not is_there(repository, commit)), None)
    if lost is not None:
        raise RunError(
            f"commit {lost[:10]} of run {run_id} is not in the repository any more: no branch held it",
            hint=f"what attempts left may still be there: git for-each-ref {run_refs(run_id)}; "
            "each one's change is in the diff.patch of its folder",
        )
