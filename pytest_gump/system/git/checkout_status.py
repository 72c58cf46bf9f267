"""The state of the user's checkout, from a single `git status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pytest_gump.system.git.runner import failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_gump.system.git.runner import GitOutput

_STATUS: Final = (
    *("status", "--porcelain=v2", "--branch", "--no-ahead-behind", "-z"),
    *("--no-renames", "--ignore-submodules=dirty"),
)
OF_TRACKED_FILES: Final = (*_STATUS, "--untracked-files=no")
OF_ALL_FILES: Final = (*_STATUS, "--untracked-files=all", "--ignored=matching")
"""Slower than `OF_TRACKED_FILES`: git reads every folder of the checkout that it does not ignore."""
_FIELDS: Final[Mapping[str, int]] = {"1": 8, "u": 10}
"""Number of fields before the path, by kind of line: 1 is a modified file, u an unmerged file."""
_DETACHED: Final = "(detached)"


class CheckoutStatus(NamedTuple):
    head: str
    """The commit that is checked out."""
    branch: str | None
    """Short name of the checked-out branch; None for a detached HEAD."""
    modified: Mapping[str, str]
    """Tracked files that differ from HEAD, staged or not, with git's status letters."""
    unmerged: tuple[str, ...]
    """The modified files whose merge is unfinished."""
    untracked: tuple[str, ...]
    """Files that git neither tracks nor ignores. Empty with `OF_TRACKED_FILES`."""
    ignored: tuple[str, ...]
    """Files that git ignores. A folder, which ends in `/`, includes its contents. Empty with `OF_TRACKED_FILES`."""

    @property
    def dirty(self) -> list[str]:
        """The modified files, sorted."""
        return sorted(self.modified)


def checkout_status(result: GitOutput) -> CheckoutStatus:
    """Parse the output of one of the commands above.

    Raises:
        WorktreeError: The command failed.
    """
    if result.status:
        raise failure("status", result)
    return _parsed(result.fields)


def _parsed(lines: Iterable[str]) -> CheckoutStatus:
    header: dict[str, str] = {}
    modified: dict[str, str] = {}
    unmerged, untracked, ignored = [], [], []
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            header[name] = value
        elif kind == "?":
            untracked.append(rest)
        elif kind == "!":
            ignored.append(rest)
        else:
            letters, *_, path = rest.split(" ", _FIELDS[kind] - 1)
            modified[path] = letters
            unmerged += [path] if kind == "u" else []
    branch = header["branch.head"]
    return CheckoutStatus(
        head=header["branch.oid"],
        branch=None if branch == _DETACHED else branch,
        modified=modified,
        unmerged=tuple(unmerged),
        untracked=tuple(untracked),
        ignored=tuple(ignored),
    )
