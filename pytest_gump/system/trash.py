"""Removes folders in two steps: rename, then delete. `gump gc` finds what an interrupted removal leaves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_gump.system import files

if TYPE_CHECKING:
    from pathlib import Path

TRASH: Final = ".trash"


def trash_name(name: str) -> str:
    """Return a unique name for the renamed `name`."""
    return f"{TRASH}-{name}-{os.urandom(4).hex()}"


def is_trash(entry: str, name: str | None = None) -> bool:
    """True if `trash_name` returned this entry, for `name` or, if that is None, for any name."""
    return entry.startswith(f"{TRASH}-" if name is None else f"{TRASH}-{name}-")


def move_to_trash(path: Path) -> Path:
    """Rename a file or folder to hide it from other processes. Return its new path."""
    return path.rename(path.with_name(trash_name(path.name)))


def delete(path: Path) -> bool:
    """Remove a renamed file or folder. Return True, as actions of `gump gc` do.

    Raises:
        OSError: It cannot be removed.
    """
    files.remove(path)
    return True
