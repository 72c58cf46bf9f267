"""Puts files of a commit into a slot: git writes them into a secret folder, and we move them.

Git itself would open them by path in the slot, where a process may swap a folder for a link in the middle. It notes
their times in the index, which stay as they are but for the files at the top: no later command has to read the others.

Measured 2026-11-29 with 50,000 files: 0.8 s of CPU for the checkout and 0.1 s for the `status` after it; 1.3 and 0.4 s
with `--prefix`, with which git notes no times.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.commands import SlotCommands
    from pytest_gump.system.worktrees.root import SlotRoot


def check_out(root: SlotRoot, slot: Directory, git: SlotCommands, paths: Sequence[str] | None) -> None:
    """Put files of the index into the slot, replacing what is there; None means all files, into an empty slot.

    Raises:
        WorktreeError: git could not write them.
        OSError: they could not be moved.
    """
    if paths is not None and not paths:
        return
    with root.stage() as stage:
        which = ["-a"] if paths is None else ["-z", "--stdin"]
        names = b"".join(os.fsencode(path) + b"\0" for path in paths or ())
        git.check("checkout-index", "--quiet", "--index", *which, stdin=names, within=stage)
        for path in stage.entries() if paths is None else paths:
            _place(stage, slot, path)


def _place(stage: Directory, slot: Directory, path: str) -> None:
    if stage.status(path) is None:  # a submodule
        return
    if "/" in path:
        slot.make_folders(path.rpartition("/")[0])
    if slot.is_folder(path) or stage.is_folder(path):
        slot.remove(path)
    stage.move(path, slot, path)
