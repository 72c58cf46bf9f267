"""Folders that are removed under another name: a removal that is cut short leaves one, and `gump gc` finds it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pytest_gump.system import files

if TYPE_CHECKING:
    from pathlib import Path

TRASH: Final = ".trash"


def trash_name(name: str) -> str:
    """A fresh name beside `name`."""
    return f"{TRASH}-{name}-{os.urandom(4).hex()}"


def is_trash(entry: str, name: str | None = None) -> bool:
    """True for what `trash_name` returned, of this name or of any."""
    return entry.startswith(f"{TRASH}-" if name is None else f"{TRASH}-{name}-")


def move_to_trash(path: Path) -> Path:
    """Rename a file or folder, so that nobody finds it any more; returns its new path."""
    return path.rename(path.with_name(trash_name(path.name)))


def delete(path: Path) -> bool:
    """Remove what was renamed; True, so that it can be an action of `gump gc`.

    Raises:
        OSError: it could not be removed.
    """
    files.remove(path)
    return True
