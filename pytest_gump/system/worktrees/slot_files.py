"""The files of a slot and its index, which change together from one commit to another."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.kept_ignored import is_kept
from pytest_gump.system.worktrees.checkout import check_out
from pytest_gump.system.worktrees.setup import covering
from pytest_gump.system.worktrees.sweep import remove_empty_folders
from pytest_gump.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.commands import Others, SlotCommands
    from pytest_gump.system.worktrees.folder import SlotFolder
    from pytest_gump.system.worktrees.index import SlotIndex
    from pytest_gump.system.worktrees.root import SlotRoot
    from pytest_gump.system.worktrees.setup import SlotSetup
    from pytest_gump.system.worktrees.sweep import Sweep, Sweeper


class SlotFiles:
    def __init__(
        self,
        repository: Repository,
        root: SlotRoot,
        folder: SlotFolder,
        git: SlotCommands,
        keep: tuple[str, ...],
        *,
        index: SlotIndex,
        sweeper: Sweeper,
        setup: SlotSetup,
    ) -> None:
        self._repository = repository
        self._root = root
        self._folder = folder
        self._git = git
        self._keep = keep
        self._index = index
        self._sweeper = sweeper
        self._setup = setup
        self.is_kept = cache(lambda path: is_kept(path, keep))  # no self: a cycle would keep the folder open

    def is_untouched(self) -> bool:
        """True if the files are equal to the index, and all other files are ignored and belong to setup or are kept."""
        found = self.sweep()
        return (
            self._index.covers(found)
            and self._git.run("diff-files", "--quiet").status == 0
            and not self._git.untracked([path for path in found.pruned if path not in self._setup.accepted])
        )

    def switch(self, commit: str) -> None:
        """Change the files from the tree of the index to the tree of the commit. They must be equal to the index."""
        if self._index.tree == self._repository.tree_of(commit):
            return
        changed = self._move_index(commit)
        check_out(self._root, self._folder.directory, self._git, changed)
        if any(map(_decides_what_is_ignored, changed)):
            self._remove_others(self._git.others(), self._keep)
        remove_empty_folders(self._folder.directory, self.sweep())

    def clean_up(self, commit: str, *, keep: Sequence[str]) -> None:
        """Change the files from any state to the tree of the commit."""
        self._unlock()
        for path in self.sweep().special:  # git blocks on a FIFO with the name .gitignore
            self._folder.directory.remove(path)
        self._move_index(commit)
        others = self._git.others()
        if any(map(_decides_what_is_ignored, (*others.modified, *others.untracked))):
            check_out(self._root, self._folder.directory, self._git, others.modified)
            others = self._git.others()
        self._remove_others(others, keep)
        check_out(self._root, self._folder.directory, self._git, others.modified)

    def _remove_others(self, others: Others, keep: Sequence[str]) -> None:
        slot = self._folder.directory
        if covering(self._setup.copied, others.untracked):  # no longer ignored, so setup must run again without them
            self._setup.forget()
        for path in others.untracked:
            slot.remove(path)
        self.remove_ignored(others, keep)
        for path in self._git.gitlinks():
            slot.make_folders(path)
        found = self.sweep()
        if found.unreadable:
            raise WorktreeError(f"cannot read folders of the worktree: {listed(found.unreadable, show=repr)}")
        for path in (*found.nested, *found.special):
            slot.remove(path)
            found.folders[os.path.dirname(path)] -= 1  # noqa: PTH120
        remove_empty_folders(slot, found)

    def _unlock(self) -> None:
        """Make all folders readable. For files in unreadable folders, git would assume that they exist."""
        found = self.sweep().unreadable
        while found:
            files.unlock(self._folder.directory, found)
            left = self.sweep().unreadable
            found = left if left != found else []

    def _move_index(self, commit: str) -> list[str]:
        """Read the tree of a commit into the index. Return the paths of files to check out.

        Files of the index that are not in the commit are removed from the slot. Entries of unchanged files stay valid.
        """
        if self._index.tree == self._repository.tree_of(commit):
            return []
        changed: dict[str, str] = {}
        if self._index.exists:
            comparison = ("diff-index", "--cached", "--name-status", "--no-renames", "--ignore-submodules=none", "-z")
            fields = self._git.check(*comparison, commit, "--").fields
            changed = dict(zip(fields[1::2], fields[::2], strict=True))
        slot = self._folder.directory
        for path, status in changed.items():
            if status == "A":
                slot.remove(path)
        self.read_index(commit)
        return [path for path, status in changed.items() if status != "A"]

    def read_index(self, commit: str) -> None:
        self._git.check("read-tree", "--reset", commit)
        self._index.remember(self._repository.tree_of(commit))

    def sweep(self) -> Sweep:
        return self._sweeper.sweep(self._folder.directory.access, self._pruned(self._git.gitlinks()))

    def remove_ignored(self, others: Others, keep: Sequence[str]) -> list[str]:
        """Remove ignored files, except those of setup and those under the names in `keep`. Return the removed paths.

        Folders that are then empty are removed too: pytest creates `.gitignore` only in a new `.pytest_cache`.
        """
        slot, accepted = self._folder.directory, self._setup.accepted
        candidates = (path for path in others.ignored if path not in accepted)
        removed = [path for path in candidates if files.remove_except(slot, path, keep)]
        for path in removed:
            files.remove_emptied(slot, path)
        return removed

    def _pruned(self, gitlinks: Sequence[str]) -> Callable[[str], bool]:
        links = frozenset(gitlinks)
        accepted = self._setup.accepted

        def is_pruned(path: str) -> bool:
            return self.is_kept(path) or path in links or path in accepted

        return is_pruned


def _decides_what_is_ignored(path: str) -> bool:
    return path.rpartition("/")[2] == ".gitignore"
