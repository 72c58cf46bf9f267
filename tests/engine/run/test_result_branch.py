"""The branch of a run in a real repository that others change during the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.engine.record.records import RunRecord
from pytest_gump.engine.run.result_branch import ResultBranch
from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.testing import GumpProject

RUN = "20261122-061512-tdd-7f3a0c"
BRANCH = f"gump/{RUN}"


def commits(project: GumpProject, count: int = 3) -> list[str]:
    """Return a chain of commits, oldest first, that is on no branch."""
    made = [project.git("rev-parse", "HEAD")]
    for number in range(count):
        made.append(project.git("commit-tree", "HEAD^{tree}", "-p", made[-1], "-m", f"step {number}"))
    return made


def begin(project: GumpProject, base: str) -> ResultBranch:
    return ResultBranch.begin(Repository.open(project.path), RUN, base)


def ref(project: GumpProject, name: str) -> str:
    return project.git("for-each-ref", "--format=%(objectname)", name)


def test_branch_follows_the_head_of_the_run(gump_project: GumpProject) -> None:
    base, first, second, _ = commits(gump_project)
    branch = begin(gump_project, base)
    for commit in (first, second, first):
        assert branch.move(commit) is None
        assert ref(gump_project, f"refs/heads/{BRANCH}") == commit
    assert branch.end() == BRANCH
    assert ref(gump_project, "refs/gump") == ""


def test_existing_branch_of_that_name_is_an_error_and_does_not_change(gump_project: GumpProject) -> None:
    base, first, *_ = commits(gump_project)
    gump_project.git("branch", BRANCH, first)
    with pytest.raises(WorktreeError, match="update-ref failed"):
        begin(gump_project, base)
    assert ref(gump_project, f"refs/heads/{BRANCH}") == first


def moved(project: GumpProject, commit: str) -> None:
    project.git("update-ref", f"refs/heads/{BRANCH}", commit)


def deleted(project: GumpProject, _commit: str) -> None:
    project.git("branch", "--quiet", "-D", BRANCH)


def renamed(project: GumpProject, _commit: str) -> None:
    project.git("branch", "--quiet", "-m", BRANCH, "mine")


def replaced_by_a_folder(project: GumpProject, commit: str) -> None:
    deleted(project, commit)
    project.git("branch", f"{BRANCH}/mine", commit)


def checked_out(project: GumpProject, _commit: str) -> None:
    project.git("switch", "--quiet", BRANCH)


def checked_out_elsewhere(project: GumpProject, _commit: str) -> None:
    project.git("worktree", "add", "--quiet", str(project.path.parent / f"{project.path.name}-other"), BRANCH)


def rebased(project: GumpProject, _commit: str) -> None:
    checked_out(project, _commit)
    project.git("-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "--quiet", "-i", "HEAD~1", "--keep-base")


WAYS: dict[Callable[[GumpProject, str], None], str] = {
    moved: "moved by someone else",
    deleted: "deleted or renamed",
    renamed: "deleted or renamed",
    replaced_by_a_folder: "deleted or renamed",
    checked_out: "is checked out in",
    checked_out_elsewhere: "is checked out in",
    rebased: "is checked out in",
}


@pytest.mark.parametrize("act", WAYS)
def test_branch_changed_by_others_is_not_moved(
    gump_project: GumpProject, act: Callable[[GumpProject, str], None]
) -> None:
    base, first, second, mine = commits(gump_project)
    branch = begin(gump_project, base)
    branch.move(first)
    act(gump_project, mine)
    before = ref(gump_project, "refs/heads")
    status = gump_project.git("status", "--porcelain")
    why = branch.move(second)
    assert why is not None
    assert WAYS[act] in why
    assert branch.name == f"refs/gump/{RUN}/head"
    assert ref(gump_project, branch.name) == second
    assert branch.move(first) is None  # reported once
    assert branch.move(second) is None
    assert ref(gump_project, "refs/heads") == before
    assert gump_project.git("status", "--porcelain") == status
    assert branch.end() == f"{BRANCH}-2"
    assert ref(gump_project, f"refs/heads/{BRANCH}-2") == second


def test_new_branch_gets_the_next_free_number(gump_project: GumpProject) -> None:
    base, first, second, mine = commits(gump_project)
    gump_project.git("branch", f"{BRANCH}-2", mine)
    branch = begin(gump_project, base)
    moved(gump_project, mine)
    assert branch.move(first)
    assert branch.end() == f"{BRANCH}-3"
    assert branch.move(second) is None
    assert ref(gump_project, f"refs/heads/{BRANCH}-3") == second
    assert ref(gump_project, f"refs/heads/{BRANCH}-2") == mine


def test_result_is_at_its_ref_if_no_branch_can_be_created(gump_project: GumpProject) -> None:
    base, first, *_ = commits(gump_project)
    branch = begin(gump_project, base)
    deleted(gump_project, base)
    gump_project.git("branch", "gump", base)  # git cannot create a branch below that name
    assert branch.move(first)
    assert branch.end() == f"refs/gump/{RUN}/head"
    assert ref(gump_project, f"refs/gump/{RUN}/head") == first


def record(base: str, head: str, *heads: str) -> RunRecord:
    return RunRecord(run_id=RUN, base=base, head=head, branch=BRANCH, heads={base, head, *heads}, branches={BRANCH})


@pytest.mark.parametrize("at", [0, 1, 2, None])
def test_resumed_run_moves_its_own_branch(gump_project: GumpProject, at: int | None) -> None:
    base, first, second, last = commits(gump_project)
    if at is not None:
        gump_project.git("branch", BRANCH, (base, first, second)[at])
    branch = ResultBranch.resume(Repository.open(gump_project.path), record(base, first, second))
    assert branch.move(first) is None
    assert branch.move(last) is None
    assert ref(gump_project, f"refs/heads/{BRANCH}") == last


def test_resumed_run_does_not_move_a_branch_moved_by_others(gump_project: GumpProject) -> None:
    base, first, _, mine = commits(gump_project)
    gump_project.git("branch", BRANCH, mine)
    branch = ResultBranch.resume(Repository.open(gump_project.path), record(base, first))
    assert "moved by someone else" in str(branch.move(first))
    assert branch.end() == f"{BRANCH}-2"
    assert ref(gump_project, f"refs/heads/{BRANCH}") == mine


def test_branch_with_a_foreign_commit_that_names_the_run_is_not_moved(gump_project: GumpProject) -> None:
    base, first, *_ = commits(gump_project)
    gump_project.git("branch", BRANCH, base)
    gump_project.git("switch", "--quiet", BRANCH)
    gump_project.git("commit", "--quiet", "--allow-empty", "-m", f"step\n\nGump-Run: {RUN}\n")
    gump_project.git("switch", "--quiet", "main")
    branch = ResultBranch.resume(Repository.open(gump_project.path), record(base, first))
    assert branch.move(first) is not None
