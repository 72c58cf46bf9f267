"""Worktree slots: folders outside the checkout that agents work in, each a repository of its own.

The slot's own `.git` is the agent's to ruin: it is rewritten before every attempt and before its gates. What counts
is read with the user's repository as GIT_DIR and an index beside the slot, which the agent's git does not know of.

Measured 2026-11-29 (`benchmarks/README.md`), for a plan item: 3.3 git processes, 4.4 if files are never only
switched and 5.3 without `_holds_no_others`; with 50,000 files, 15 % more CPU without `is_untouched`.
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
    """What was left out or taken over in another form: said in the report, no reason to fail."""
    bad: tuple[str, ...] = ()
    """Paths that cannot be kept as they are (unreadable, links out of the tree): the attempt fails."""


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
        self._rests: str | None = None
        """The tree that the slot holds, and nothing besides but kept names; None as soon as something may run in it."""
        self._lacks_setup = False
        self._tenancy = Tenancy(root, name)
        self._git = SlotCommands(repository.git_dir, self._folder, self._index)
        self._files = SlotFiles(
            *(repository, root, self._folder, self._git, self.keep), index=index, sweeper=sweeper, setup=self.setup
        )

    @property
    def directory(self) -> Directory:
        """The slot's folder, open.

        Raises:
            SlotLost: it was removed, or something else is in its place.
        """
        return self._folder.directory

    @property
    def lost(self) -> SlotLost | None:
        """What happened to the folder, if it is missing; None otherwise."""
        return self._folder.lost

    @property
    def environment(self) -> dict[str, str]:
        """What children in the slot need: a slot without `.git` must not find a repository above it."""
        return {"GIT_CEILING_DIRECTORIES": f"{self.root}:{os.path.realpath(self.root)}"}

    # -- before an attempt -----------------------------------------------------------------------------------------

    def prepare(self, commit: str) -> bool:
        """Make the files exactly those of `commit`; True when the slot was created again, so that setup must run.

        Ignored files go too, except under the kept names and what `accept_ignored` recorded.
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
        """The slot's folder, for something that may change files in it.

        Raises:
            SlotLost: as `directory`.
        """
        self._rests = None
        return self.directory

    @property
    def is_ours(self) -> bool:
        """Whether no other process has prepared the slot since we did."""
        return self._tenancy.is_ours

    def renew_git(self, commit: str) -> None:
        """Rewrite the slot's own `.git`: HEAD at `commit`, and staged is what the last snapshot holds.

        Also before gates: git that they use must find this repository, whatever the agent made of it.
        """
        slot = self.directory
        try:
            slot.remove(".git")
        except OSError:  # not ours to delete
            slot.put_aside(".git", self._slot_root.directory)
        if not self._index.exists:
            self._files.read_index(commit)
        write_git_folder(self.repository, slot, commit_id(commit), self._index)

    def restore(self, commit: str) -> None:
        """Reset to a snapshot after gates ran; a following `prepare` has nothing left to do.

        Raises:
            SlotLost: a process removed or replaced the slot; `prepare` makes another one.
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
        """Record that the ignored files of this moment came from setup at `commit`, and stay."""
        ignored = self._git.others().ignored
        self.setup.accept(ignored, commit=commit, copied=[*dict.fromkeys(covering(copied, ignored).values())])
        self.setup.remember(self.directory)

    def remove_not_ignored(self, paths: Sequence[str]) -> list[str]:
        """Of files that were put there, remove those that a snapshot would take; gives them."""
        others = self._git.others()
        ignored = covering(paths, others.ignored)
        taken = [path for path in covering(paths, others.untracked) if path not in ignored]
        for path in taken:
            self.directory.remove(path)
        return taken

    @property
    def lacks_setup(self) -> bool:
        """Whether nobody has called `accept_ignored` since the slot was made or changed hands."""
        return not self.setup.is_done

    def forget(self) -> None:
        """Let nothing of the run that had the slot before act on the next one: `prepare` removes all that it ignored.

        Raises:
            OSError: the folder cannot be changed.
        """
        self._rests = None
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
        """Remove the slot and all that belongs to it."""
        self._rests = None
        self._index.discard()
        self.setup.forget()
        self._folder.discard()
        self._tenancy.end()

    def _move_to(self, commit: str) -> None:
        tree, indexed = self.repository.tree_of(commit_id(commit)), self._index.tree
        rests, self._rests = self._rests, None
        if self._tenancy.is_inherited:
            self._files.clean_up(commit, keep=())
        elif indexed is not None and indexed == rests and self._index.covers(self._files.sweep()):
            self._files.switch(commit)
        elif indexed != tree or not self._files.is_untouched():
            self._files.clean_up(commit, keep=self.keep)
        self._rests = tree

    # -- after an attempt ------------------------------------------------------------------------------------------

    def snapshot(self, parent: str, message: str, ref: str) -> Snapshot:
        """Commit the slot's files, whatever the agent did to its `.git`; the ref keeps the commit.

        Nested repositories become plain files, FIFOs and sockets are removed; both are named in `problems`.

        Raises:
            SlotLost: the folder was removed, or something else is in its place.
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
        self._rests = tree if not bad and self._index.covers(found) else None
        commit = self.repository.commit_tree(tree, [commit_id(parent)], message)
        self.repository.update_ref(ref, commit)
        bad += self._git.differing(parent, found.leaving)
        return Snapshot(commit, tree, tuple(problems), tuple(dict.fromkeys(bad)))

    def _add(self, found: Sweep, excluded: Sequence[str]) -> list[str]:
        """Bring the index up to date with the files; returns what git could not read or refused.

        Where there are as many files as entries, most likely none is new: git need not look for new ones, which saves
        a third of its time in a large tree. That none was new is certain only after the entries without file are gone.
        """
        if not found.pruned and self._index.covers(found):
            bad = self._git.add("--update", excluded)
            if not bad and self._index.covers(found):
                return []
        return self._git.add("--all", excluded)

    def remove_ignored(self, keep: Sequence[str]) -> list[str]:
        """Remove ignored files that came since setup, except under the names of `keep`; returns what was removed."""
        is_clean = self._holds_no_others(keep)
        self._rests = None
        return [] if is_clean else self._files.remove_ignored(self._git.others(), keep)

    def _holds_no_others(self, keep: Sequence[str]) -> bool:
        """Whether there are no files but those of the last snapshot, what setup left, and what has a kept name."""
        if self._rests is None:
            return False
        found = self._files.sweep()
        pruned = () if tuple(keep) == self.keep else found.pruned
        return self.setup.accepted.issuperset(pruned) and self._index.covers(found)

    def remove_bytecode(self) -> None:
        """Remove every `__pycache__` in the last snapshot, because Python trusts it whatever the source says."""
        if not self._index.may_hold_folders(["__pycache__"]):
            return
        cached = self._git.check("ls-files", "-z", "--", ":(top,glob)**/__pycache__/**").fields
        for folder in {path.rpartition("/")[0] for path in cached}:
            self._rests = None
            self.directory.remove(folder)

    def ignored_since_setup(self) -> list[str]:
        """Name the ignored files that appeared since setup, except under kept names; folders end in `/`."""
        ignored = () if self._holds_no_others(self.keep) else self._git.others().ignored
        accepted = self.setup.accepted
        paths = [path for path in ignored if path not in accepted and not self._files.is_kept(path)]
        return [f"{path}/" if self.directory.is_folder(path) else path for path in paths]

    # -- files that agents deliver ---------------------------------------------------------------------------------

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Read a file of the slot, no part of whose path may be a link; None when there is none."""
        return files.read_regular(self.directory, path, max_bytes)

    def read_handover(self, name: str, max_bytes: int) -> bytes | None:
        return self.read(f"{HANDOVER}/{name}", max_bytes)

    def empty_handover(self) -> None:
        """Leave an empty `.gump/out` for the agent, whatever was there."""
        self._rests = None
        slot = self.directory
        slot.remove(HANDOVER)
        slot.make_folders(HANDOVER)

    def take_handover(self, dest: Directory) -> files.Moved:
        """Move the files of `.gump/out` away so that it reaches no snapshot."""
        slot = self.directory
        if slot.is_folder(HANDOVER):
            moved = files.move_regular_files(slot, HANDOVER, dest)
        else:
            moved = files.Moved(dropped=[HANDOVER] if slot.remove(HANDOVER) else [])
        slot.remove_empty(".gump")
        return moved


def _reachable(slot: Directory, paths: Iterable[str]) -> list[str]:
    """The paths that git may get: those that are not behind a link."""
    return [path for path in paths if not files.is_behind_link(slot, path)]
