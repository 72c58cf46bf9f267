"""`gump diff`: changes of a run or a step."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from .conftest import gump_apart

if TYPE_CHECKING:
    from .conftest import Gump


def test_the_diff_of_a_run_is_a_patch_that_git_applies(passed: Gump) -> None:
    patch = gump_apart(passed.project.path, "gump diff").stdout
    subprocess.run(["git", "apply", "--index"], cwd=passed.project.path, input=patch, check=True)
    assert passed.project.git("diff", "--cached", "--name-only").split() == ["first.py", "second.py"]


def test_the_diff_of_a_step_is_its_own_change(passed: Gump) -> None:
    assert passed.good("diff", "second", "--stat").splitlines()[1:] == ["added   second.py     +1"]
    assert "notes.txt" in passed.good("diff", "first", "--attempt", "1", "--stat")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "b", "c"), "expected at most a run and a step"),
        (("nosuch",), "'nosuch' is neither a run nor a step of the newest run"),
        (("--attempt", "1"), "--attempt needs a step"),
    ],
)
def test_wrong_arguments_have_a_clear_message(passed: Gump, words: tuple[str, ...], message: str) -> None:
    assert message in passed.bad("diff", *words, code=2)


def test_commits_that_git_has_pruned_are_an_error(passed: Gump) -> None:
    project, run_id = passed.project, passed.project.folders()[0].run_id
    head = project.git("rev-parse", f"gump/{run_id}")
    project.git("branch", "--quiet", "-D", f"gump/{run_id}")
    assert "first.py" in passed.good("diff", "--stat")
    project.git("gc", "--quiet", "--prune=now")
    assert "first.py" in passed.good("diff", "--stat")
    for ref in project.git("for-each-ref", "--format=%(refname)", f"refs/gump/{run_id}/commits").splitlines():
        project.git("update-ref", "-d", ref)
    project.git("gc", "--quiet", "--prune=now")
    for words in (("apply",), ("diff",)):
        errors = passed.bad(*words)
        assert f"commit {head[:10]} of run {run_id} is no longer in the repository: no branch held it" in errors
        assert f"git for-each-ref refs/gump/{run_id}" in errors
    assert "second.py" in passed.good("diff", "second", "--attempt", "1", "--stat")
