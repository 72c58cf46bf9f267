"""Worktree slots: folders outside the checkout in which agents work. Each is a separate repository.

Agents may change the slot's own `.git`: it is rewritten before every attempt and before its gates. Snapshots use the
user's repository as GIT_DIR and an index outside the slot, which the agent's git does not use.

Measured 2026-11-29 (`benchmarks/README.md`), for a plan item: 3.3 git processes; 4.4 without `SlotFiles.switch`; 5.3
without `_holds_no_others`. With 50,000 files, 15 % more CPU without `is_untouched`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.git.runner import commit_id
from pytest_gump.system.worktrees.checkout import check_out
from pytest_gump.system.worktrees.commands import SlotCommands
from pytest_gump.system.worktrees.folder import HANDOVER, SlotFolder, SlotLost
from pytest_gump.system.worktrees.git_folder import write_git_folder
from pytest_gump.system.worktrees.setup import SlotSetup, covering
from pytest_gump.system.worktrees.slot_files import SlotFiles
from pytest_gump.system.worktrees.tenancy import Tenancy
from pytest_gump.text import listed
from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.git.repository import Repository
    from pytest_gump.system.worktrees.index import SlotIndex
    from pytest_gump.system.worktrees.root import SlotRoot
    from pytest_gump.system.worktrees.sweep import Sweep, Sweeper


class Snapshot(NamedTuple):
    commit: str
    tree: str
    problems: tuple[str, ...] = ()
    """Messages about files that were left out or changed. They are reported, but the attempt does not fail."""
    bad: tuple[str, ...] = ()
    """Paths that cannot be stored unchanged (unreadable files, links out of the tree). The attempt fails."""


class Slot:
    def __init__(
        self,
        repository: Repository,
        root: SlotRoot,
        name: str,
        keep: Sequence[str],
        *,
        index: SlotIndex,
        sweeper: Sweeper,
    ) -> None:
        self.repository = repository
        self.name = name
        self.root = root.path
        self.path = root.path / name
        self.keep = tuple(keep)
        self._slot_root = root
        self._folder = SlotFolder(root, name)
        self._index = index
        self.setup = SlotSetup(root, name)
        self._clean_tree: str | None = None
        """The tree in the slot, if there are no other files except under kept names; None if files may have changed."""
        self._lacks_setup = False
        self._tenancy = Tenancy(root, name)
        self._git = SlotCommands(repository.git_dir, self._folder, self._index)
        self._files = SlotFiles(
            *(repository, root, self._folder, self._git, self.keep), index=index, sweeper=sweeper, setup=self.setup
        )

    @property
    def directory(self) -> Directory:
        """The slot's folder.

        Raises:
            SlotLost: The folder was removed or replaced, or a file system is mounted in it.
        """
        return self._folder.directory

    @property
    def lost(self) -> SlotLost | None:
        """An error if the folder cannot be used; otherwise None."""
        return self._folder.lost

    @property
    def environment(self) -> dict[str, str]:
        """Variables for processes in the slot. They keep git from using a repository above a slot without `.git`."""
        return {"GIT_CEILING_DIRECTORIES": f"{self.root}:{os.path.realpath(self.root)}"}

    # -- before an attempt -----------------------------------------------------------------------------------------

    def prepare(self, commit: str) -> bool:
        """Set the files to those of `commit`. Return True if the slot was created again, so that setup must run.

        Ignored files are removed, except under kept names and those that `accept_ignored` recorded.
        """
        fresh = not self._folder.open() or self._lacks_setup
        if not fresh:
            try:
                self._move_to(commit)
                self.renew_git(commit)
            except (WorktreeError, OSError):
                fresh = True
        if fresh:
            self._make(commit_id(commit))
            self._lacks_setup = False
            self.renew_git(commit)
        self._tenancy.begin()
        return fresh

    def enter(self) -> Directory:
        """Return the slot's folder for a process that may change files in it.

        Raises:
            SlotLost: As for `directory`.
        """
        self._clean_tree = None
        return self.directory

    @property
    def is_ours(self) -> bool:
        """True if no other process has prepared the slot since this one did."""
        return self._tenancy.is_ours

    def renew_git(self, commit: str) -> None:
        """Rewrite the slot's own `.git`, with HEAD at `commit` and the last snapshot as the index.

        Call it before gates too, because an agent may have changed the repository that they use.
        """
        slot = self.directory
        try:
            slot.remove(".git")
        except OSError:  # it contains files that we may not delete
            slot.put_aside(".git", self._slot_root.directory)
        if not self._index.exists:
            self._files.read_index(commit)
        write_git_folder(self.repository, slot, commit_id(commit), self._index)

    def restore(self, commit: str) -> None:
        """Reset the files to a snapshot after gates ran, so that the next `prepare` is fast.

        Raises:
            SlotLost: The slot was removed or replaced. `prepare` creates a new one.
        """
        try:
            self._move_to(commit)
        except SlotLost:
            raise
        except (WorktreeError, OSError):
            self._make(commit_id(commit))
            self.renew_git(commit)
            self._lacks_setup = True

    def accept_ignored(self, *, commit: str | None = None, copied: Sequence[str] = ()) -> None:
        """Record that setup at `commit` created the current ignored files, so that they stay."""
        ignored = self._git.others().ignored
        self.setup.accept(ignored, commit=commit, copied=[*dict.fromkeys(covering(copied, ignored).values())])
        self.setup.remember(self.directory)

    def remove_not_ignored(self, paths: Sequence[str]) -> list[str]:
        """Remove those of `paths` that a snapshot would include. Return them."""
        others = self._git.others()
        ignored = covering(paths, others.ignored)
        taken = [path for path in covering(paths, others.untracked) if path not in ignored]
        for path in taken:
            self.directory.remove(path)
        return taken

    @property
    def lacks_setup(self) -> bool:
        """True if `accept_ignored` was not called since the slot was created or leased."""
        return not self.setup.is_done

    def forget(self) -> None:
        """Forget the run that used the slot before. The next `prepare` removes all of its ignored files.

        Raises:
            OSError: The folder cannot be changed.
        """
        self._clean_tree = None
        self.setup.forget()
        self._tenancy.inherit()
        self._folder.open()

    def _make(self, commit: str) -> None:
        self.discard()
        root = self._slot_root.directory
        if root.read(".gitignore") is None:
            root.write(".gitignore", b"*\n")
        self._folder.make()
        self._files.read_index(commit)
        check_out(self._slot_root, self.directory, self._git, None)

    def discard(self) -> None:
        """Remove the slot and all of its files."""
        self._clean_tree = None
        self._index.discard()
        self.setup.forget()
        self._folder.discard()
        self._tenancy.end()

    def _move_to(self, commit: str) -> None:
        tree, indexed = self.repository.tree_of(commit_id(commit)), self._index.tree
        clean_tree, self._clean_tree = self._clean_tree, None
        if self._tenancy.is_inherited:
            self._files.clean_up(commit, keep=())
        elif indexed is not None and indexed == clean_tree and self._index.covers(self._files.sweep()):
            self._files.switch(commit)
        elif indexed != tree or not self._files.is_untouched():
            self._files.clean_up(commit, keep=self.keep)
        self._clean_tree = tree

    # -- after an attempt ------------------------------------------------------------------------------------------

    def snapshot(self, parent: str, message: str, ref: str) -> Snapshot:
        """Commit the slot's files and point `ref` to the commit. The slot's own `.git` is not used.

        Nested repositories become plain files. FIFOs and sockets are removed. `problems` lists both.

        Raises:
            SlotLost: As for `directory`.
        """
        slot = self.directory
        self.setup.write()
        if not self._index.exists:
            self._files.read_index(commit_id(parent))
        gitlinks = self._git.gitlinks()
        found = self._files.sweep()
        problems = []
        for path in (*found.nested, *found.special):
            slot.remove(path)
        if found.nested:
            folders = [os.path.dirname(path) for path in found.nested]  # noqa: PTH120
            problems.append(f"nested repositories were kept as plain files: {listed(folders, show=repr)}")
        if found.special:
            problems.append(
                f"left out {plural(len(found.special), 'special file')}: {listed(found.special, show=repr)}"
            )
        exposed = self._git.not_ignored(_reachable(slot, self.setup.copied))
        excluded = _reachable(slot, [HANDOVER, *gitlinks, *found.unreadable, *exposed])
        bad = [*found.unreadable, *self._add(found, excluded)]
        tree = self._index.tree or self._git.check("write-tree").line
        self._index.remember(tree)
        self._folder.check()
        self._clean_tree = tree if not bad and self._index.covers(found) else None
        commit = self.repository.commit_tree(tree, [commit_id(parent)], message)
        self.repository.update_ref(ref, commit)
        bad += self._git.differing(parent, found.leaving)
        return Snapshot(commit, tree, tuple(problems), tuple(dict.fromkeys(bad)))

    def _add(self, found: Sweep, excluded: Sequence[str]) -> list[str]:
        """Update the index from the files. Return the files that git could not read or refused.

        If the numbers of files and entries are equal, there are probably no new files. Then git does not search for
        new files, which saves a third of its time in a large tree. The numbers are compared again after git has
        removed entries without files. If they are still equal, there are certainly no new files.
        """
        if not found.pruned and self._index.covers(found):
            bad = self._git.add("--update", excluded)
            if not bad and self._index.covers(found):
                return []
        return self._git.add("--all", excluded)

    def remove_ignored(self, keep: Sequence[str]) -> list[str]:
        """Remove ignored files that are newer than setup, except under the names in `keep`. Return their paths."""
        is_clean = self._holds_no_others(keep)
        self._clean_tree = None
        return [] if is_clean else self._files.remove_ignored(self._git.others(), keep)

    def _holds_no_others(self, keep: Sequence[str]) -> bool:
        """True if there are only files of the last snapshot, files of setup and files under the names in `keep`."""
        if self._clean_tree is None:
            return False
        found = self._files.sweep()
        pruned = () if tuple(keep) == self.keep else found.pruned
        return self.setup.accepted.issuperset(pruned) and self._index.covers(found)

    def remove_bytecode(self) -> None:
        """Remove all `__pycache__` folders in the last snapshot. Python may use them even if the source differs."""
        if not self._index.may_hold_folders(["__pycache__"]):
            return
        cached = self._git.check("ls-files", "-z", "--", ":(top,glob)**/__pycache__/**").fields
        for folder in {path.rpartition("/")[0] for path in cached}:
            self._clean_tree = None
            self.directory.remove(folder)

    def ignored_since_setup(self) -> list[str]:
        """Return the ignored files that are newer than setup, except under kept names. Folders end in `/`."""
        ignored = () if self._holds_no_others(self.keep) else self._git.others().ignored
        accepted = self.setup.accepted
        paths = [path for path in ignored if path not in accepted and not self._files.is_kept(path)]
        return [f"{path}/" if self.directory.is_folder(path) else path for path in paths]

    # -- output files of agents ------------------------------------------------------------------------------------

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Return the content of a file of the slot; None if it is missing.

        Raises:
            WorktreeError: As for `read_regular`; links are not followed.
        """
        return files.read_regular(self.directory, path, max_bytes)

    def read_handover(self, name: str, max_bytes: int) -> bytes | None:
        return self.read(f"{HANDOVER}/{name}", max_bytes)

    def empty_handover(self) -> None:
        """Create an empty `.gump/out` for the agent, and remove the previous one."""
        self._clean_tree = None
        slot = self.directory
        slot.remove(HANDOVER)
        slot.make_folders(HANDOVER)

    def take_handover(self, dest: Directory) -> files.Moved:
        """Move the files of `.gump/out` to `dest`, so that no snapshot contains them."""
        slot = self.directory
        if slot.is_folder(HANDOVER):
            moved = files.move_regular_files(slot, HANDOVER, dest)
        else:
            moved = files.Moved(dropped=[HANDOVER] if slot.remove(HANDOVER) else [])
        slot.remove_empty(".gump")
        return moved


def _reachable(slot: Directory, paths: Iterable[str]) -> list[str]:
    """Return the paths that are not behind a link. Git accepts only these."""
    return [path for path in paths if not files.is_behind_link(slot, path)]
