"""`gump gc --remote`: remove the folders that workers for controllers on other machines keep on this machine.

Each folder is a copy of a project with worktrees next to it. The next run that sends steps here creates it again.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from pytest_gump.engine.maintenance.gc import Findings, Item, looking
from pytest_gump.system.cache import LEASE, last_used, seize
from pytest_gump.system.disk_usage import disk_usage
from pytest_gump.system.trash import delete, is_trash, move_to_trash
from pytest_gump.system.worktrees.pool import is_leased

if TYPE_CHECKING:
    from pathlib import Path


def find_remote(root: Path, older_than_s: float | None, now: float) -> Findings:
    """Find the folders that no worker uses and that were not used for `older_than_s`, and change nothing.

    Raises:
        WorktreeError: A folder cannot be read.
    """
    found = Findings()
    with looking():
        for folder in sorted(root.iterdir()) if root.is_dir() else ():
            if folder.is_symlink() or not folder.is_dir():
                continue
            if is_trash(folder.name):
                found.items.append(Item("trash", folder.name, disk_usage(folder), partial(delete, folder)))
            elif now - last_used(folder) >= (older_than_s or 0.0) and not _is_used(folder):
                found.items.append(Item("remote", folder.name, disk_usage(folder), partial(_remove, folder)))
    return found


def _is_used(folder: Path) -> bool:
    return any(map(is_leased, (folder / LEASE, *folder.glob("worktrees/*.lease"))))


def _remove(folder: Path) -> bool:
    handle = seize(folder)
    if handle is None:
        return False
    try:
        aside = move_to_trash(folder)
    finally:
        os.close(handle)
    return delete(aside)
