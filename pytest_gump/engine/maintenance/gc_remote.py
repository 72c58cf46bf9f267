"""What `gump gc --remote` removes: what workers of controllers on other machines keep on this one.

A folder there is a copy of a project, with worktrees beside it: the next run that sends steps here makes it anew.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.engine.maintenance.gc import Findings, Item
from pytest_gump.errors import WorktreeError
from pytest_gump.system.cache import LEASE, last_used, seize
from pytest_gump.system.disk_usage import disk_usage
from pytest_gump.system.trash import delete, is_trash, move_to_trash
from pytest_gump.system.worktrees.pool import is_leased

if TYPE_CHECKING:
    from pathlib import Path


def find_remote(root: Path, older_than_s: float | None, now: float) -> Findings:
    """Look for the folders that no worker uses, last used so long ago; nothing is changed.

    Raises:
        WorktreeError: a folder cannot be looked into.
    """
    found = Findings()
    try:
        for place in sorted(root.iterdir()) if root.is_dir() else ():
            if place.is_symlink() or not place.is_dir():
                continue
            if is_trash(place.name):
                found.items.append(Item("trash", place.name, disk_usage(place), partial(delete, place)))
            elif now - last_used(place) >= (older_than_s or 0.0) and not _is_used(place):
                found.items.append(Item("remote", place.name, disk_usage(place), partial(_remove, place)))
    except OSError as error:
        raise WorktreeError(f"cannot look into {error.filename}: {error.strerror}") from error
    return found


def _is_used(place: Path) -> bool:
    return any(map(is_leased, (place / LEASE, *place.glob("worktrees/*.lease"))))


def _remove(place: Path) -> bool:
    handle = seize(place)
    if handle is None:
        return False
    try:
        aside = move_to_trash(place)
    finally:
        os.close(handle)
    return delete(aside)
