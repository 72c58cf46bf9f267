"""Files in a slot that are not in its index, as git reports them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_gump.system.git.runner import GitOutput

_STATUS: Final = (
    *("status", "--porcelain=v1", "-z", "--ignored=matching", "--untracked-files=normal"),
    *("--no-renames", "--ignore-submodules=all"),
)


@dataclass(frozen=True, slots=True)
class Others:
    """A folder stands for all that is in it."""

    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    modified: tuple[str, ...]
    """Files that differ from the index, or are not there."""


def read_others(git: Callable[..., GitOutput], *, left_out: str) -> Others:
    entries = paths_of(git(*_STATUS).stdout)
    ignored = (entry[3:].rstrip("/") for entry in entries if entry.startswith("!!"))
    return Others(
        untracked=tuple(entry[3:].rstrip("/") for entry in entries if entry.startswith("??")),
        ignored=tuple(path for path in ignored if path != left_out),
        modified=tuple(entry[3:] for entry in entries if entry[1] not in " ?!"),
    )


def paths_of(output: bytes) -> list[str]:
    """Names of git's output, each ended by a NUL."""
    return [os.fsdecode(name) for name in output.split(b"\0") if name]


def decides_what_is_ignored(path: str) -> bool:
    return path.rpartition("/")[2] == ".gitignore"
