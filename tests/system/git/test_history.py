"""Chains of commits, read with one command. See also the tests of `gump apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.system.git.history import chain

from tests.system.git_project import counting_git, make_project

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_commits_of_a_chain_have_their_full_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    project.git("config", "i18n.logOutputEncoding", "ISO-8859-1")
    project.git("config", "log.showSignature", "true")
    repository = project.open()
    base = tip = repository.head()
    messages = ["first\n", "zweite: ü\n\nGump-Step: a\n", "\nno title\n\n\nand lines\n", "commit 123\n\0"]
    commits = [tip := repository.commit_tree(repository.tree_of(base), [tip], message) for message in messages]
    other = repository.commit_tree(repository.tree_of(base), [base], "of the second parent\n")
    commits.append(repository.commit_tree(repository.tree_of(base), [tip, other], "merge\n"))
    expected = {commit: repository.message_of(commit) for commit in commits}
    count = counting_git(tmp_path, monkeypatch)
    found = chain(repository, base, commits[-1])
    assert count() == 1
    assert [*found.items()] == [*expected.items()]
    assert chain(repository, commits[-1], commits[-1]) == {}
