"""Three-way merges of trees, without a checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.system.git.runner import commit_id

if TYPE_CHECKING:
    from pytest_gump.system.git.runner import GitRunner

_FIXED_DATE: Final = {"GIT_AUTHOR_DATE": "@0 +0000", "GIT_COMMITTER_DATE": "@0 +0000"}


class Merge(NamedTuple):
    tree: str | None
    """None if there are conflicts."""
    conflicts: tuple[str, ...] = ()
    """Paths, sorted."""


def merge_preview(git: GitRunner, ours: str, theirs: str, base: str | None) -> Merge:
    """Merge the changes of `theirs` since `base` into `ours`, as trees.

    If `base` is None, the merge base of both histories is used. Otherwise, the merge uses synthetic commits with one
    common parent: `merge-tree --merge-base` needs git 2.40, and the real history of a run from a dirty checkout has
    another merge base.
    """
    if base is None:
        sides = commit_id(ours), commit_id(theirs)
    else:
        root = _synthetic(git, base)
        sides = _synthetic(git, ours, root), _synthetic(git, theirs, root)
    result = git.check("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", *sides, accepted=(0, 1))
    tree, *names = result.fields
    return Merge(None, tuple(sorted({*names}))) if result.status else Merge(tree.strip())


def _synthetic(git: GitRunner, commit: str, *parents: str) -> str:
    arguments = [word for parent in parents for word in ("-p", parent)]
    return git.check("commit-tree", f"{commit_id(commit)}^{{tree}}", *arguments, stdin=b"merge\n", env=_FIXED_DATE).line
