"""The user's checkout: its modified files, and the fast-forward merge, which is the only change to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.runner import commit_id, failure
from pytest_gump.text import listed_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.git.runner import GitOutput

_MERGE: Final = (
    *("merge", "--ff-only", "--commit", "--no-squash", "--quiet", "--no-stat", "--no-autostash"),
    *("--no-overwrite-ignore", "--no-verify-signatures", "--no-signoff", "--no-log"),
)
"""Moves HEAD forward, regardless of the user's merge settings."""


def unknown_to_git(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Return the files in `paths` that git does not track, including ignored files."""
    if not paths:
        return []
    arguments = ("status", "--porcelain=v1", "-z", "--ignored", "--untracked-files=all", "--no-renames", "--", *paths)
    entries = repository.checkout.check(*arguments, env={"GIT_LITERAL_PATHSPECS": "1"}).fields
    return sorted(entry[3:] for entry in entries if entry[:2] in {"??", "!!"})


def fast_forward(repository: Repository, commit: str) -> None:
    """Move branch, index and files from HEAD forward to `commit`.

    Raises:
        WorktreeError: Tracked files are modified, untracked files are in the way (the message lists them), or the
            commit is not ahead of HEAD. In these cases, nothing was changed. Or git failed to merge.
    """
    commit = commit_id(commit)
    head = repository.head()
    if head == commit:
        return
    if repository.objects.run("merge-base", "--is-ancestor", head, commit).status:
        raise WorktreeError("HEAD of the checkout has moved since the merge was prepared; nothing was changed")
    if dirty := repository.dirty():
        raise WorktreeError(
            f"the checkout has uncommitted changes: {listed_paths(dirty)}", hint="commit or stash them first"
        )
    changes = repository.changed(head, commit)
    added = [change.path for change in changes if change.status == "added"]
    deleted = [change.path for change in changes if change.status == "deleted"]
    if blocking := in_the_way(repository.root, added, deleted):
        raise WorktreeError(
            f"untracked files are in the way: {listed_paths(blocking)}", hint="move or remove them, then apply again"
        )
    branch = repository.branch()
    result = repository.checkout.run(
        *_MERGE, commit, env={"GIT_REFLOG_ACTION": "gump apply", **_without_options(branch)}
    )
    _check_moved(repository, head, commit, result)


def _without_options(branch: str | None) -> dict[str, str]:
    """Return variables that clear the user's `branch.<name>.mergeOptions`. With `-c`, a name could not contain `=`."""
    key = f"branch.{branch}.mergeOptions"
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": ""} if branch else {}


def _check_moved(repository: Repository, head: str, commit: str, result: GitOutput) -> None:
    """Check the actual state of the checkout in addition to git's exit code.

    Raises:
        WorktreeError: HEAD is not at the commit, or index or files differ from it.
    """
    now = repository.head()
    if now == head and result.status:
        raise failure("merge", result)
    dirty = repository.dirty() if now == commit else []
    if now != commit or dirty:
        why = f"files differ from it: {listed_paths(dirty)}" if dirty else f"HEAD is at {now[:10]}"
        raise WorktreeError(
            f"git merge should have moved HEAD to {commit[:10]}, but {why}",
            hint="see git status and git reflog; the result is not recorded as applied",
        )


def in_the_way(root: Path, added: Sequence[str], deleted: Sequence[str]) -> list[str]:
    """Return the paths that new files would overwrite: existing files, or files in the place of a folder.

    Files that the same change deletes are not in the way. Neither are folders that it empties, because git removes
    them.
    """
    going = set(deleted)
    emptied = {"/".join(path.split("/")[:depth]) for path in deleted for depth in range(1, path.count("/") + 1)}
    return sorted({location for path in added if (location := _blocker(root, path, going)) and location not in emptied})


def _blocker(root: Path, path: str, going: set[str]) -> str | None:
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[:depth])
        location = root / name
        if name in going or not os.path.lexists(location):
            return None
        if depth == len(parts) or location.is_symlink() or not location.is_dir():
            return name
    return None
