"""Worktree slots: folders outside the checkout that agents work in, each a repository of its own.

The slot's own `.git` is the agent's to ruin: it is written anew before every attempt and before its gates. What counts
is read with the user's repository as GIT_DIR and an index beside the slot, which the agent's git does not know of.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.git_runner import SLOT_SETTINGS, GitOutput, GitRunner, commit_id, failure, git_folder
from pytest_gump.system.slot_git import write_git_folder
from pytest_gump.system.slot_index import SlotIndex
from pytest_gump.system.slot_setup import SlotSetup, covering
from pytest_gump.system.sweep import Sweeper, remove_empty_folders
from pytest_gump.units import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_gump.system.git_repository import Repository
    from pytest_gump.system.sweep import Sweep

HANDOVER: Final = ".gump/out"
_QUOTED: Final = re.compile(r"""^(?:error|fatal): .*?(?:"([^"\n]+)"|'([^'\n]+)')""", re.MULTILINE)
_ADD_ROUNDS: Final = 200
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Snapshot:
    commit: str
    tree: str
    problems: tuple[str, ...] = ()
    """What was left out or taken over in another form: said in the report, no reason to fail."""
    bad: tuple[str, ...] = ()
    """Paths that cannot be kept as they are (unreadable, links out of the tree): the attempt fails."""


@dataclass(frozen=True, slots=True)
class _Others:
    """What lies in a slot besides the files of its index; a folder stands for all that is in it."""

    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    modified: bool
    """Some file differs from the index."""


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(repr(path) for path in paths[:_NAMED]) + more


class Slot:
    def __init__(self, repository: Repository, root: Path, name: str, keep: Sequence[str]) -> None:
        self.repository = repository
        self.name = name
        self.root = root
        self.path = root / name
        self.keep = tuple(keep)
        self._index = SlotIndex(root / f"{name}.index")
        self.setup = SlotSetup(root, name)
        self._rests: str | None = None
        """The tree that the slot holds, and nothing besides but kept names; None as soon as something may run in it."""
        self._lacks_setup = False
        self._sweeper = Sweeper(self.path)
        self._kept: dict[str, bool] = {}
        self._git = GitRunner(
            "-C", str(self.path), git_folder(repository.git_dir), f"--work-tree={self.path}", settings=SLOT_SETTINGS
        )

    @property
    def environment(self) -> dict[str, str]:
        """What children in the slot need: a slot without `.git` must not find a repository above it."""
        return {"GIT_CEILING_DIRECTORIES": f"{self.root}:{os.path.realpath(self.root)}"}

    # -- before an attempt -----------------------------------------------------------------------------------------

    def prepare(self, commit: str) -> bool:
        """Make the files exactly those of `commit`; True when the slot was made anew, so that setup must run.

        Ignored files go too, except under the kept names and what `accept_ignored` recorded.
        """
        fresh = not self._exists() or self._lacks_setup
        if not fresh:
            try:
                if not self._is_at_rest(commit):
                    self._move_to(commit)
            except (WorktreeError, OSError):
                fresh = True
        if fresh:
            self._make(commit_id(commit))
            self._lacks_setup = False
        self._rests = None
        self.renew_git(commit)
        return fresh

    def renew_git(self, commit: str) -> None:
        """Write the slot's own `.git` anew: HEAD at `commit`, and staged is what the last snapshot holds.

        Also before gates: git that they use must find this repository, whatever the agent made of it.
        """
        self._clear_away(self.path / ".git")
        write_git_folder(self.repository, self.path, commit_id(commit), self._index.path)

    def restore(self, commit: str) -> None:
        """Go back to a snapshot after gates ran; a `prepare` that follows has nothing left to do."""
        try:
            self._move_to(commit)
        except (WorktreeError, OSError):
            self._make(commit_id(commit))
            self.renew_git(commit)
            self._lacks_setup = True

    def accept_ignored(self, *, commit: str | None = None, copied: Sequence[str] = ()) -> None:
        """Record that the ignored files of this moment came from setup at `commit`, and stay."""
        ignored = self._others().ignored
        self.setup.accept(ignored, commit=commit, copied=[*dict.fromkeys(covering(copied, ignored).values())])
        self.setup.remember(self.path)

    def remove_not_ignored(self, paths: Sequence[str]) -> list[str]:
        """Of files that were put there, remove those that a snapshot would take; gives them."""
        others = self._others()
        ignored = covering(paths, others.ignored)
        taken = [path for path in covering(paths, others.untracked) if path not in ignored]
        for path in taken:
            files.remove(self.path / path)
        return taken

    @property
    def lacks_setup(self) -> bool:
        """Whether nobody has called `accept_ignored` since the slot was made or changed hands."""
        return not self.setup.is_done

    def forget(self) -> None:
        """Let nothing of the run that had the slot before act on the next one: its ignored files go, setup's too."""
        self._rests = None
        self.setup.forget()
        if self._exists():
            try:
                for path in self._remove_ignored(self._others(), ()):
                    files.remove_emptied(self.path, path)  # pytest has its cache ignored only if it makes the folder
            except (WorktreeError, OSError):
                self.discard()

    def _exists(self) -> bool:
        return self.path.is_dir() and not self.path.is_symlink() and self._index.path.is_file()

    def _make(self, commit: str) -> None:
        self.discard()
        self.root.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        self.path.mkdir()
        self._read_tree(commit)

    def discard(self) -> None:
        """Remove the slot and all that belongs to it."""
        self._rests = None
        for place in (self._index.path, *self.setup.places, self.path):
            self._clear_away(place)

    def _clear_away(self, place: Path) -> None:
        try:
            files.remove(place)
        except OSError:  # not ours to delete: out of the way is enough
            place.rename(Path(tempfile.mkdtemp(prefix=f".trash-{self.name}-", dir=self.root), "moved"))

    def _move_to(self, commit: str) -> None:
        self._rests = None
        tree = self.repository.tree_of(commit_id(commit))
        if not (self._index.tree == tree and self._is_untouched()):
            self._clean_up(commit, has_index=self._index.tree == tree)
        self._rests = tree

    def _is_at_rest(self, commit: str) -> bool:
        """Whether the slot still holds the tree of `commit` since we last looked, and nothing has run in it."""
        if self._rests is None or self._rests != self.repository.tree_of(commit_id(commit)):
            return False
        return self._index.tree == self._rests and self._index.covers(self._sweep())

    def _is_untouched(self) -> bool:
        """Whether the files are those of the index, and there are no others."""
        return self._index.covers(self._sweep()) and self._run("diff-files", "--quiet").status == 0

    def _clean_up(self, commit: str, *, has_index: bool) -> None:
        others = self._others() if has_index else None
        if others is None or others.modified:
            self._read_tree(commit)
            others = self._others()
        if covering(self.setup.copied, others.untracked):  # not ignored any more: to be set up again without them
            self.setup.forget()
        for path in others.untracked:
            files.remove(self.path / path)
        self._remove_ignored(others, self.keep)
        found = self._sweep()
        if found.unreadable:
            raise WorktreeError(f"cannot be looked into: {_named(found.unreadable)}")
        for path in (*found.nested, *found.special):
            files.remove(self.path / path)
            found.folders[os.path.dirname(path)] -= 1  # noqa: PTH120
        remove_empty_folders(self.path, found)

    def _read_tree(self, commit: str) -> None:
        if self._run("read-tree", "--reset", "-u", commit).status:
            files.make_writable(self.path)
            self._check("read-tree", "--reset", "-u", commit)
        self._index.remember(self.repository.tree_of(commit))

    def _sweep(self) -> Sweep:
        return self._sweeper.sweep(self._pruned(self._gitlinks()))

    # -- after an attempt ------------------------------------------------------------------------------------------

    def snapshot(self, parent: str, message: str, ref: str) -> Snapshot:
        """Commit the slot's files, whatever the agent did to its `.git`; the ref keeps the commit.

        Nested repositories become plain files, FIFOs and sockets are removed; both are named in `problems`.
        """
        gitlinks = self._gitlinks()
        found = self._sweep()
        problems = []
        for path in (*found.nested, *found.special):
            files.remove(self.path / path)
        if found.nested:
            folders = [os.path.dirname(path) for path in found.nested]  # noqa: PTH120
            problems.append(f"repositories inside the tree were taken over as plain files: {_named(folders)}")
        if found.special:
            problems.append(f"left out {plural(len(found.special), 'special file')}: {_named(found.special)}")
        bad = [*found.unreadable, *self._add([*gitlinks, *found.unreadable, *self._exposed()])]
        tree = self._index.tree or self._check("write-tree").line
        self._index.remember(tree)
        self._rests = tree if not bad and self._index.covers(found) else None
        commit = self.repository.commit_tree(tree, [commit_id(parent)], message)
        self.repository.update_ref(ref, commit)
        bad += self._new_links(parent, found.leaving)
        return Snapshot(commit, tree, tuple(problems), tuple(dict.fromkeys(bad)))

    def _add(self, excluded: list[str]) -> list[str]:
        """Bring the index up to the files; gives what git could not read or refuses to hold."""
        bad: list[str] = []
        for _ in range(_ADD_ROUNDS):
            left_out = (path for path in (HANDOVER, *excluded, *bad) if not files.is_behind_link(self.path, path))
            specs = [f":(top,exclude,literal){path}" for path in left_out]
            result = self._run("add", "--all", "--ignore-errors", "--", ":(top)", *specs)
            if result.status == 0:
                return bad
            refused = [first or second for first, second in _QUOTED.findall(result.stderr)]
            fresh = [path.rstrip("/") for path in refused if path.rstrip("/") not in bad]
            if not fresh:
                raise failure("add", result)
            bad += fresh
        raise WorktreeError(f"too many files that git cannot take: {', '.join(bad[:5])}, ...")

    def _exposed(self) -> list[str]:
        """What was copied into the slot and is not ignored any more; git wants no word about what is."""
        copied = [path for path in self.setup.copied if not files.is_behind_link(self.path, path)]
        if not copied:
            return []
        stdin = b"".join(os.fsencode(path) + b"\0" for path in copied)
        result = self._git.run(
            "check-ignore", "--stdin", "-z", stdin=stdin, env={"GIT_INDEX_FILE": str(self._index.path)}
        )
        if result.status not in {0, 1}:
            raise failure("check-ignore", result)
        ignored = {os.fsdecode(path) for path in result.stdout.split(b"\0")}
        return [path for path in copied if path not in ignored]

    def _new_links(self, parent: str, leaving: Sequence[str]) -> list[str]:
        """Of the links out of the tree, those that are new or changed and would be kept."""
        if not leaving:
            return []
        specs = [f":(top,literal){path}" for path in leaving]
        output = self._check("diff-index", "--cached", "--name-only", "--no-renames", "-z", parent, "--", *specs).stdout
        return [os.fsdecode(name) for name in output.split(b"\0") if name]

    def remove_ignored(self, keep: Sequence[str] | None = None) -> list[str]:
        """Remove ignored files that came since setup, except under kept names; gives what was removed."""
        kept = self.keep if keep is None else tuple(keep)
        is_clean = self._rests is not None and kept == self.keep and self._index.covers(self._sweep())
        self._rests = None
        return [] if is_clean else self._remove_ignored(self._others(), kept)

    def remove_bytecode(self) -> None:
        """Remove every `__pycache__` that the last snapshot holds: Python believes it, whatever its source says."""
        held = self._check("ls-files", "-z", "--", ":(top,glob)**/__pycache__/**").stdout.split(b"\0")
        for folder in {os.fsdecode(path).rpartition("/")[0] for path in held if path}:
            self._rests = None
            files.remove(self.path / folder)

    def ignored_since_setup(self) -> list[str]:
        """Name the ignored files that came since setup, except under kept names; folders end in `/`."""
        accepted = self.setup.accepted
        paths = [path for path in self._others().ignored if path not in accepted and not files.is_kept(path, self.keep)]
        return [f"{path}/" if (self.path / path).is_dir() else path for path in paths]

    def _remove_ignored(self, others: _Others, keep: Sequence[str]) -> list[str]:
        accepted = self.setup.accepted
        candidates = (path for path in others.ignored if path not in accepted)
        return [path for path in candidates if files.remove_except(self.path, path, keep)]

    def _others(self) -> _Others:
        output = self._check(
            *("status", "--porcelain=v1", "-z", "--ignored=matching", "--untracked-files=normal"),
            *("--no-renames", "--ignore-submodules=all"),
        ).stdout
        entries = [os.fsdecode(entry) for entry in output.split(b"\0") if entry]
        ignored = (entry[3:].rstrip("/") for entry in entries if entry.startswith("!!"))
        return _Others(
            untracked=tuple(entry[3:].rstrip("/") for entry in entries if entry.startswith("??")),
            ignored=tuple(path for path in ignored if path != HANDOVER),
            modified=any(entry[1] not in " ?!" for entry in entries),
        )

    # -- files that agents hand over ---------------------------------------------------------------------------------

    def read(self, path: str, max_bytes: int) -> bytes | None:
        """Read a file of the slot, no part of whose path may be a link; None when there is none."""
        return files.read_regular(self.path, path, max_bytes)

    def read_handover(self, name: str, max_bytes: int) -> bytes | None:
        return files.read_regular(self.path, f"{HANDOVER}/{name}", max_bytes)

    def empty_handover(self) -> None:
        """Leave an empty `.gump/out` for the agent, whatever was there."""
        self._rests = None
        gump = self.path / ".gump"
        if gump.is_symlink() or not gump.is_dir():
            files.remove(gump)
        files.remove(self.path / HANDOVER)
        (self.path / HANDOVER).mkdir(parents=True)

    def take_handover(self, dest: Path) -> list[str]:
        """Move `.gump/out` away so that it reaches no snapshot; gives what was dropped (links, devices)."""
        gump = self.path / ".gump"
        out = self.path / HANDOVER
        dest.mkdir(parents=True, exist_ok=True)
        if gump.is_symlink() or not out.is_dir() or out.is_symlink():
            dropped = [HANDOVER] if os.path.lexists(out) and not gump.is_symlink() else []
            if dropped:
                files.remove(out)
            return dropped
        dropped = files.move_regular_files(out, dest)
        if not any(gump.iterdir()):
            gump.rmdir()
        return dropped

    # -- git -----------------------------------------------------------------------------------------------------------

    def _pruned(self, gitlinks: Sequence[str]) -> Callable[[str], bool]:
        links = frozenset(gitlinks)
        accepted = self.setup.accepted

        def is_pruned(path: str) -> bool:
            if path not in self._kept:
                self._kept[path] = files.is_kept(path, self.keep)
            return self._kept[path] or path in links or path in accepted

        return is_pruned

    def _gitlinks(self) -> list[str]:
        """Submodules of the base; their entries stay as they are. Asks git only if the index can hold any."""
        if not self._index.may_hold_submodules:
            return []
        entries = self._check("ls-files", "--stage", "-z").stdout.split(b"\0")
        return [os.fsdecode(entry.split(b"\t", 1)[1]) for entry in entries if entry.startswith(b"160000 ")]

    def _run(self, *arguments: str) -> GitOutput:
        index = self._index.path
        index.with_name(f"{index.name}.lock").unlink(missing_ok=True)  # the slot is leased: nobody holds it
        return self._git.run(*arguments, env={"GIT_INDEX_FILE": str(index)})

    def _check(self, *arguments: str) -> GitOutput:
        result = self._run(*arguments)
        if result.status:
            raise failure(arguments[0], result)
        return result
