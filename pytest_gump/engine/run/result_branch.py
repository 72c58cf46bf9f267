"""The branch with the result of a run.

Each move is a compare-and-swap: the branch moves only if it is still at the run's last commit and is not checked out.
If someone else moved, deleted or checked out the branch, the run no longer moves it. The run's head is then kept
at `refs/gump/<run-id>/head`, and when the run ends, its result gets the next free branch: `gump/<run-id>-2`.
"""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.run.run_branch import branch_holder, is_of_run
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.ref_names import BRANCHES, branch_name, branch_ref, head_ref, is_run_branch

if TYPE_CHECKING:
    from pytest_gump.engine.record.records import RunRecord
    from pytest_gump.system.git.repository import Repository

_MOST_TRIED: Final = 5


class ResultBranch:
    def __init__(self, repository: Repository, run_id: str, name: str, at: str | None) -> None:
        """`at` is the expected commit of the branch; None means that the branch does not exist."""
        self._repository = repository
        self._run_id = run_id
        self._name = name
        self._at = at
        self._head: str | None = None
        self._is_left = name == head_ref(run_id)

    @classmethod
    def begin(cls, repository: Repository, run_id: str, base: str) -> ResultBranch:
        """Create the branch of a new run.

        Raises:
            WorktreeError: git cannot create it.
        """
        branch = cls(repository, run_id, branch_name(run_id), base)
        repository.swap_ref(branch._ref, base, None)
        branch._head = base
        return branch

    @classmethod
    def resume(cls, repository: Repository, record: RunRecord) -> ResultBranch:
        """Return the branch of a resumed run. A deleted branch is created again; a foreign one is not moved."""
        ref = branch_ref(record.branch)
        now = repository.refs(ref).get(ref) if is_run_branch(record.branch) else None
        at = now if now is None or is_of_run(repository, record, now) else record.head
        return cls(repository, record.run_id, record.branch, at)

    @property
    def name(self) -> str:
        """Short name of the branch, or the full name of a ref while the result is on no branch."""
        return head_ref(self._run_id) if self._is_left else self._name

    @property
    def _ref(self) -> str:
        return branch_ref(self._name)

    def move(self, commit: str) -> str | None:
        """Move the branch to the run's new head. If that fails, return why, and do not move the branch any more."""
        if commit == self._head:
            return None
        why = None if self._is_left else self._try(commit)
        self._is_left = self._is_left or why is not None
        if self._is_left:
            self._repository.update_ref(head_ref(self._run_id), commit)
        self._head = commit
        return why

    def end(self) -> str:
        """Return the name of the branch with the result. If the old branch is no longer moved, create a new one."""
        if self._is_left and self._head is not None:
            taken = self._repository.refs(BRANCHES)
            names = (f"{branch_name(self._run_id)}-{number}" for number in count(2))
            free = (name for name in names if branch_ref(name) not in taken)
            self._is_left = not any(self._create(name, self._head) for name in islice(free, _MOST_TRIED))
        return self.name

    def _create(self, name: str, commit: str) -> bool:
        try:
            self._repository.swap_ref(branch_ref(name), commit, None)
        except WorktreeError:  # it has just been created by another process, or git cannot create it
            return False
        self._name, self._at = name, commit
        return True

    def _try(self, commit: str) -> str | None:
        if self._at is not None and self._at != commit:
            holder = branch_holder(self._repository, self._ref)
            if holder is not None:
                return f"is checked out in {holder}"
        try:
            self._repository.swap_ref(self._ref, commit, self._at)
        except WorktreeError as error:
            return self._why(error)
        self._at = commit
        return None

    def _why(self, error: WorktreeError) -> str:
        now = self._repository.refs(self._ref).get(self._ref)
        if now is None:
            return "was deleted or renamed during the run"
        if now != self._at:
            return f"was moved by someone else, to {now[:10]}"
        return f"cannot be moved: {error.args[0]}"
