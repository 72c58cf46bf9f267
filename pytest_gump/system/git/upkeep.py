"""Removes refs of runs, after checks for checkouts and for other refs that contain their commits."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.git.ref_names import BRANCHES, HEADS, RUNS, branch_ref, run_refs
from pytest_gump.system.git.runner import commit_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_gump.system.git.repository import Repository

_IN_PROGRESS: Final = {"rebase-merge/head-name": "", "rebase-apply/head-name": "", "BISECT_START": HEADS}
"""Files in a git folder that name the branch of an operation in progress, each with the prefix missing in its text."""


class Checkout(NamedTuple):
    """A working tree of the user's repository: the main one, or one from `git worktree add`."""

    path: Path
    branch: str | None = None
    """Full name of the checked-out branch; during a rebase or a bisect, of the branch where it started."""
    is_away: bool = False
    """True if its folder is missing but locked with `git worktree lock`, for example on a removable disk."""


def checkouts(repository: Repository) -> list[Checkout]:
    alone = _only_checkout(repository)
    if alone is not None:
        return [alone]
    output = os.fsdecode(repository.objects.check("worktree", "list", "--porcelain", "-z").stdout)
    result = []
    for entry in output.split("\0\0"):
        fields = dict(line.partition(" ")[::2] for line in entry.split("\0") if line)
        if "worktree" in fields and "bare" not in fields:
            path = Path(fields["worktree"])
            away = "locked" in fields and not path.is_dir()
            result.append(Checkout(path, fields.get("branch") or _branch_in_progress(path / ".git"), away))
    if repository.root not in {checkout.path for checkout in result}:
        branch = repository.branch()
        result.append(Checkout(repository.root, branch_ref(branch) if branch else None))
    return result


def _only_checkout(repository: Repository) -> Checkout | None:
    """Return the user's checkout without calling git; None if there may be others, or if only git can read HEAD.

    Measured 2026-11-29 (`benchmarks/README.md`): 7.4 git processes for a plan item; 8.4 without this function.
    """
    head, others = repository.git_dir / "HEAD", repository.git_dir / "worktrees"
    if repository.layout.get("extensions.refstorage", "files") != "files" or head.is_symlink():
        return None
    if others.exists() and (not others.is_dir() or any(others.iterdir())):
        return None
    name = head.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
    ref = name.removeprefix("ref:").strip() if name.startswith("ref:") else None
    return Checkout(repository.root, ref or _branch_in_progress(repository.root / ".git"))


def _branch_in_progress(git: Path) -> str | None:
    """Return the branch where a rebase or bisect in a checkout started. Git moves it when the operation ends."""
    with contextlib.suppress(OSError):
        link = git.read_text(encoding="utf-8", errors="surrogateescape") if git.is_file() else ""
        folder = git.parent / link.removeprefix("gitdir: ").strip() if link else git
        for name, prefix in _IN_PROGRESS.items():
            if (folder / name).is_file():
                return prefix + (folder / name).read_text(encoding="utf-8", errors="surrogateescape").strip()
    return None


def is_kept_elsewhere(repository: Repository, commit: str) -> bool:
    """True if HEAD of a checkout, or a ref that is not one of gump's, contains the commit."""
    others = ("--not", f"--exclude={RUNS}/*", f"--exclude={BRANCHES}/*", "--all")
    result = repository.objects.run("rev-list", "--max-count=1", commit_id(commit), *others)
    return result.status == 0 and not result.stdout.strip()


def delete_refs(repository: Repository, refs: Mapping[str, str]) -> None:
    """Delete refs of gump, all or none.

    Args:
        repository: The user's repository.
        refs: The expected commit of each ref.

    Raises:
        WorktreeError: A ref points to another commit. Nothing was deleted.
    """
    allowed = (f"{RUNS}/", f"{BRANCHES}/")
    if not all(name.startswith(allowed) for name in refs):
        raise WorktreeError(f"not refs of gump: {', '.join(refs)}")
    if refs:
        lines = b"".join(b"delete %s\0%s\0" % (os.fsencode(name), old.encode()) for name, old in refs.items())
        repository.objects.check("update-ref", "--no-deref", "--stdin", "-z", stdin=lines)


def clear_ref_folder(repository: Repository, run_id: str) -> None:
    """Remove the folder of a run's refs if it contains no refs, only files that a killed process left."""
    if repository.layout.get("extensions.refstorage", "files") == "files" and not repository.refs(run_refs(run_id)):
        with contextlib.suppress(OSError):
            files.remove(repository.git_dir / run_refs(run_id))
