"""`gump discard`: what it removes, keeps and refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Gump


def test_discard_removes_branch_and_refs_and_keeps_the_ledger(failed: Gump) -> None:
    run = failed.project.folders()[0]
    head = failed.project.git("rev-parse", "HEAD")
    slots = next(failed.project.path.parent.glob(f"{failed.project.path.name}-cache/gump/worktrees/*"))
    (slots / f"{run.run_id}.scratch").mkdir()  # left by a killed session
    output = failed.good("discard", run.run_id)
    assert not [*slots.glob(f"{run.run_id}*")]
    assert re.search(r"1 branch, \d+ snapshots?$", output, re.MULTILINE)
    assert failed.project.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
    assert failed.project.git("rev-parse", "HEAD") == head
    assert failed.project.record().discarded
    assert "is already discarded" in failed.good("discard", run.run_id)
    assert f"run {run.run_id} was discarded" in failed.bad("apply", run.run_id, "--force")


def test_the_branch_that_is_checked_out_is_not_discarded(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    failed.project.git("switch", "--quiet", f"gump/{run_id}")
    assert f"branch gump/{run_id} is checked out" in failed.bad("discard", run_id)
    assert not failed.project.record().discarded


def test_a_branch_of_another_checkout_is_not_discarded_even_by_force(failed: Gump) -> None:
    run_id = failed.project.folders()[0].run_id
    other = failed.project.path.parent / f"{failed.project.path.name}-other"
    failed.project.git("worktree", "add", "--quiet", str(other), f"gump/{run_id}")
    for words in ((), ("--force",)):
        errors = failed.bad("discard", run_id, *words)
        assert f"branch gump/{run_id} is checked out in {other}" in errors
        assert f"git worktree remove {other}" in errors
    assert not failed.project.record().discarded
    failed.project.git("worktree", "remove", str(other))
    assert "discarded run" in failed.good("discard", run_id)


def test_commits_that_someone_added_are_discarded_by_force_only(failed: Gump) -> None:
    project, run_id = failed.project, failed.project.folders()[0].run_id
    project.git("switch", "--quiet", f"gump/{run_id}")
    project.write({"mine.py": "mine = 1\n"})
    mine = project.commit("mine")
    project.git("switch", "--quiet", "main")
    errors = failed.bad("discard", run_id)
    assert "holds commits that the run did not make" in errors
    assert f"git branch NAME gump/{run_id} keeps them; --force removes them too" in errors
    assert project.git("rev-parse", f"gump/{run_id}") == mine
    assert "discarded run" in failed.good("discard", run_id, "--force")
    assert project.git("for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


def test_a_branch_whose_added_commits_are_on_another_branch_is_discarded(failed: Gump) -> None:
    project, run_id = failed.project, failed.project.folders()[0].run_id
    project.git("switch", "--quiet", f"gump/{run_id}")
    project.write({"mine.py": "mine = 1\n"})
    mine = project.commit("mine")
    project.git("switch", "--quiet", "--create", "kept")
    assert "discarded run" in failed.good("discard", run_id)
    assert project.git("rev-parse", "kept") == mine


def test_an_outdated_branch_of_a_killed_run_is_discarded(passed: Gump) -> None:
    run_id = passed.project.folders()[0].run_id
    passed.project.git("update-ref", f"refs/heads/gump/{run_id}", f"gump/{run_id}~1")
    assert "discarded run" in passed.good("discard", run_id)
