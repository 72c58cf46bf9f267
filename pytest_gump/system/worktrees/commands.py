"""Git commands on a slot: its folder is the working tree, and its index is ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_gump.system.git.runner import SLOT_SETTINGS, GitOutput, GitRunner, failure, git_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.folder import SlotFolder
    from pytest_gump.system.worktrees.index import SlotIndex


class SlotCommands:
    def __init__(self, git_dir: Path, folder: SlotFolder, index: SlotIndex) -> None:
        self._git = GitRunner(git_folder(git_dir), "--work-tree=.", settings=SLOT_SETTINGS)
        self._folder = folder
        self._index = index

    def run(self, *arguments: str, stdin: bytes | None = None, using: Sequence[Directory] = ()) -> GitOutput:
        """Run to the end, whatever the exit status; `status` may write what it has learned of files to the index."""
        folder = self._index.ready()
        env = {"GIT_INDEX_FILE": self._index.path(folder), "GIT_OPTIONAL_LOCKS": "1"}
        within = self._folder.directory
        result = self._git.run(*arguments, stdin=stdin, env=env, within=within, using=[folder, *using])
        self._index.note_written(same_tree=arguments[0] == "status")
        return result

    def check(self, *arguments: str) -> GitOutput:
        """Run, and raise WorktreeError with git's own words when it fails."""
        result = self.run(*arguments)
        if result.status:
            raise failure(arguments[0], result)
        return result

    def gitlinks(self) -> list[str]:
        """Submodules of the base; their entries stay as they are. Asks git only if the index can hold any."""
        if not self._index.may_hold_submodules:
            return []
        entries = self.check("ls-files", "--stage", "-z").stdout.split(b"\0")
        return [os.fsdecode(entry.split(b"\t", 1)[1]) for entry in entries if entry.startswith(b"160000 ")]
