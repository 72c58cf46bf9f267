"""The history of commits: the chain of a run, and checks if a branch contains a commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.system.git.objects import IDENTITY
from pytest_gump.system.git.runner import commit_id

if TYPE_CHECKING:
    from pytest_gump.system.git.repository import Repository

_WITH_MESSAGE: Final = "--format=%H%n%B%x00"


def chain(repository: Repository, base: str, head: str) -> dict[str, str]:
    """Return the commits after `base` up to `head` with their messages, along first parents, oldest first."""
    arguments = ("rev-list", "--first-parent", "--reverse", "--no-commit-header", "--encoding=UTF-8", _WITH_MESSAGE)
    listed = repository.objects.check(*arguments, f"{commit_id(base)}..{commit_id(head)}").stdout
    entries = listed.decode("utf-8", "replace").split("\0\n")[:-1]
    return {commit: message for commit, _, message in (entry.partition("\n") for entry in entries)}


def contains(repository: Repository, head: str, commit: str) -> bool:
    """True if `commit` is `head` or one of its ancestors. False if the commit is missing."""
    arguments = ("merge-base", "--is-ancestor", commit_id(commit), commit_id(head))
    return repository.objects.run(*arguments).status == 0


def is_there(repository: Repository, commit: str) -> bool:
    """True if the repository still has the commit."""
    return repository.objects.run("cat-file", "-e", f"{commit_id(commit)}^{{commit}}").status == 0


def is_ours(repository: Repository, commit: str) -> bool:
    """True if gump created the commit and it was not amended by another committer."""
    return repository.objects.check("log", "-1", "--format=%cn <%ce>", commit_id(commit)).line == IDENTITY
