"""Checks out files of a commit into a slot. Git writes them into a secret folder, and this module moves them.

In the slot, git would open files by path, while another process may replace a folder by a link. Git stores the times of
the files in the index. Moving a top-level folder does not change the times of the files in it, so later commands do not
read them again. Only files at the top get new times.

Measured 2026-11-29 with 50,000 files: 0.8 s of CPU for the checkout and 0.1 s for the next `status`; 1.3 s and 0.4 s
with `--prefix`, because git stores no times then.
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
    """Check out files of the index into the slot.

    Args:
        root: The folder of the slots.
        slot: The folder of the slot.
        git: Git commands on the slot.
        paths: Files to write; existing ones are replaced. None means all files, into an empty slot.

    Raises:
        WorktreeError: Git cannot write the files.
        OSError: The files cannot be moved.
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
