"""The branch of a run, which is the user's to check out and to build on: who has it, and what else is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.errors import RunError
from pytest_gump.system.git_history import contains, is_there
from pytest_gump.system.git_upkeep import checkouts, is_held_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_gump.engine.metrics import RunRecord
    from pytest_gump.system.git_upkeep import Checkout
    from pytest_gump.system.worktree import Repository


def branch_ref(run_id: str) -> str:
    return f"refs/heads/gump/{run_id}"


def checked_out_in(run_id: str, checkouts: Iterable[Checkout]) -> Path | None:
    """The checkout that has the run's branch, if one has."""
    return next((one.path for one in checkouts if one.branch == branch_ref(run_id)), None)


def has_other_commits(repository: Repository, record: RunRecord, head: str | None) -> bool:
    """Whether somebody put commits on the branch; `head` is where it stands.

    A killed run may have left it behind its last commit: that is nobody's work but the run's.
    """
    if head is None or head in {record.head, record.base}:
        return False
    return not (record.head and contains(repository, record.head, head))


def has_other_work(repository: Repository, record: RunRecord, head: str | None) -> bool:
    """Whether commits that somebody put on the branch would be lost with it."""
    return has_other_commits(repository, record, head) and not is_held_elsewhere(repository, str(head))


def refuse_checked_out(repository: Repository, run_id: str) -> None:
    """Refuse to move or remove the branch under somebody who has it checked out.

    Raises:
        RunError: a checkout has it.
    """
    name, where = f"gump/{run_id}", checked_out_in(run_id, checkouts(repository))
    if where == repository.root:
        raise RunError(f"branch {name} is checked out", hint="git switch to another branch first")
    if where is not None:
        hint = f"git -C {where} switch to another branch first, or git worktree remove {where}"
        raise RunError(f"branch {name} is checked out in {where}", hint=hint)


def refuse_others_work(repository: Repository, record: RunRecord) -> None:
    """Refuse to move the branch off commits that the run did not make; those of its own, a lost ledger may not know.

    Raises:
        RunError: there are such commits, and no other branch holds them.
    """
    name, ref = f"gump/{record.run_id}", branch_ref(record.run_id)
    head = repository.refs(ref).get(ref)
    if has_other_work(repository, record, head) and f"Gump-Run: {record.run_id}\n" not in repository.message_of(
        str(head)
    ):
        raise RunError(
            f"branch {name} holds commits that the run did not make, and no other branch holds them",
            hint=f"git branch NAME {name} keeps them; then the run can go on",
        )


def refuse_lost(repository: Repository, run_id: str, *commits: str) -> None:
    """Refuse commits of a run that are gone.

    Raises:
        RunError: the branch that held them was deleted, and git has cleared them away since.
    """
    lost = next((commit for commit in commits if not is_there(repository, commit)), None)
    if lost is not None:
        raise RunError(
            f"commit {lost[:10]} of run {run_id} is not in the repository any more: no branch held it",
            hint=f"what attempts left may still be there: git for-each-ref refs/gump/{run_id}; "
            "each one's change is in the diff.patch of its folder",
        )
