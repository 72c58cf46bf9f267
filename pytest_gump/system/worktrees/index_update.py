"""Updates the index of a slot to its files, whatever an agent left among them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.runner import failure
from pytest_gump.system.worktrees.untracked import paths_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.system.git.runner import GitOutput

_QUOTED: Final = re.compile(r"""^(?:error|fatal): .*?(?:"([^"\n]+)"|'([^'\n]+)')""", re.MULTILINE)
_ERROR: Final = re.compile(r"^(?:error|fatal): ", re.MULTILINE)
_IGNORED: Final = "The following paths are ignored by one of your .gitignore files:"
_ROUNDS: Final = 200


def add_all(run: Callable[..., GitOutput], excluded: Sequence[str]) -> list[str]:
    """Add, update and remove everything but `excluded`; returns what git could not read or refused.

    Raises:
        WorktreeError: git failed for another reason, such as a full disk.
    """
    bad: list[str] = []
    for _ in range(_ROUNDS):
        specs = [f":(top,exclude,literal){path}" for path in (*excluded, *bad)]
        result = run("add", "--all", "--ignore-errors", "--", ":(top)", *specs)
        if result.status == 0 or _is_only_ignored(result):
            return bad
        refused = [first or second for first, second in _QUOTED.findall(result.stderr)]
        fresh = [path.rstrip("/") for path in refused if path.rstrip("/") not in bad]
        if not fresh:
            raise failure("add", result)
        bad += fresh
    raise WorktreeError(f"too many files that git cannot take: {', '.join(bad[:5])}, ...")


def _is_only_ignored(result: GitOutput) -> bool:
    """True if git added everything and only complains that an excluded path is ignored."""
    return result.status == 1 and _IGNORED in result.stderr and _ERROR.search(result.stderr) is None


def not_ignored(run: Callable[..., GitOutput], paths: Sequence[str]) -> list[str]:
    """The paths that git does not ignore."""
    if not paths:
        return []
    result = run("check-ignore", "--stdin", "-z", stdin=b"".join(os.fsencode(path) + b"\0" for path in paths))
    if result.status not in {0, 1}:
        raise failure("check-ignore", result)
    ignored = {*paths_of(result.stdout)}
    return [path for path in paths if path not in ignored]


def differing(check: Callable[..., GitOutput], commit: str, paths: Sequence[str]) -> list[str]:
    """The paths whose index entries differ from the commit, or are not in it."""
    if not paths:
        return []
    specs = [f":(top,literal){path}" for path in paths]
    return paths_of(check("diff-index", "--cached", "--name-only", "--no-renames", "-z", commit, "--", *specs).stdout)
