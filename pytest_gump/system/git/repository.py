"""The user's repository. Refs are written only below refs/gump and refs/heads/gump.

Measured 2026-11-29 (`benchmarks/README.md`), for a plan item: 3.3 git processes; 6.5 if git writes the refs; 19 if
trees are not cached; 4 if the item writes a file. A run of one step starts 12 git processes. Resuming 102 steps takes
1.5 s of CPU; 2.0 s without `learn_trees`.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system import files
from pytest_gump.system.git import changes, loose_refs, merge, objects
from pytest_gump.system.git.checkout_status import OF_ALL_FILES, OF_TRACKED_FILES, checkout_status
from pytest_gump.system.git.ref_names import dirty_ref, is_run_ref
from pytest_gump.system.git.runner import VERSION_EVENT, GitRunner, check_version, commit_id, failure, git_folder
from pytest_gump.system.processes.output import bounded_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_gump.system.git.changes import ChangedFile, Difference
    from pytest_gump.system.git.checkout_status import CheckoutStatus
    from pytest_gump.system.git.merge import Merge
    from pytest_gump.system.git.objects import Identity
    from pytest_gump.system.git.runner import StartedGit

_OUR_REF: Final = re.compile(r"refs/(?:heads/)?gump/[^\s~^:?*\[\\\x00-\x1f\x7f]+")
_LAYOUT: Final = re.compile(
    r"core\.(?:filemode|symlinks|ignorecase|precomposeunicode|autocrlf|eol|attributesfile)|filter\..*"
    r"|extensions\.(?:objectformat|refstorage)"
)
_OBJECTS_OF_GIT: Final = ("core.sharedrepository", "extensions.compatobjectformat")
"""Settings that require more for a new object than writing its file."""


class Repository:
    """A repository. Open it with `Repository.open`. It holds no locks, and only `begin_status` leaves a process."""

    def __init__(self, root: Path, git_dir: Path, worktree_git_dir: Path) -> None:
        self.root = root
        """Top of the user's checkout."""
        self.git_dir = git_dir
        """Folder of objects, refs and configuration. Linked worktrees share it."""
        self._worktree_git_dir = worktree_git_dir
        self.objects = GitRunner("-C", str(git_dir), git_folder(git_dir))
        self.checkout = GitRunner("-C", str(root))
        self._begun: StartedGit | None = None
        self.last_status: CheckoutStatus | None = None
        """The last result of `status`."""
        self._compared: dict[tuple[str, str], tuple[Difference, ...]] = {}
        self._trees: dict[str, str] = {}

    @classmethod
    def open(cls, path: Path) -> Repository:
        """Find the repository that contains `path`.

        Raises:
            WorktreeError: Git is missing or too old, or there is no repository, or it is bare, has no commits or
                belongs to another user.
        """
        here = path if path.is_dir() else path.parent
        places = ("--is-bare-repository", "--git-common-dir", "--absolute-git-dir", "--show-toplevel")
        commit_and_tree = ("HEAD^{commit}", "HEAD^{tree}")
        question = ("rev-parse", "--path-format=absolute", *places, *commit_and_tree)
        result = GitRunner("-C", str(here)).run(*question, env=VERSION_EVENT)
        check_version(result.stderr)
        lines = os.fsdecode(result.stdout).splitlines()
        if lines[:1] == ["true"]:
            raise WorktreeError(f"{str(here)!r} is a bare repository", hint="start in a checkout of it")
        if lines[len(places) :] == ["HEAD^{commit}"]:  # git prints the name unchanged if it cannot resolve it
            raise WorktreeError(
                f"the repository {lines[3]!r} has no commits yet",
                hint="commit the files that a run starts from",
            )
        if result.status or len(lines) != len(places) + len(commit_and_tree):
            raise _cannot_open(here, failure("rev-parse", result))
        repository = cls(Path(lines[3]), Path(lines[1]), Path(lines[2]))
        repository._trees[lines[4]] = lines[5]
        return repository

    def preload(self) -> Repository:
        """Read the configuration now, so that not every forked process reads it."""
        self._config  # noqa: B018 - a cached property
        return self

    # -- commits ---------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> str:
        """Return the id of the commit that a user named.

        Raises:
            WorktreeError: There is no such commit.
        """
        result = self.checkout.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if result.status or "\0" in ref:
            raise WorktreeError(f"no such commit: {ref!r}", hint="name a branch, a tag or a commit of this repository")
        return result.line

    def head(self) -> str:
        return self.resolve("HEAD")

    def branch(self) -> str | None:
        """Return the short name of the checked-out branch; None for a detached HEAD."""
        result = self.checkout.run("symbolic-ref", "--quiet", "--short", "HEAD")
        return result.line if result.status == 0 else None

    def tree_of(self, commit: str) -> str:
        """Return the tree of a commit. It never changes, so it is cached. `commit_tree` fills the cache too."""
        if commit not in self._trees:
            self._trees[commit] = self.objects.check("rev-parse", "--verify", f"{commit_id(commit)}^{{tree}}").line
        return self._trees[commit]

    def learn_trees(self, commits: Iterable[str]) -> None:
        """Cache the trees of many commits with one git command. Missing commits are skipped."""
        asked = [*dict.fromkeys(commit for commit in commits if commit not in self._trees)]
        lines = "".join(f"{commit_id(commit)}^{{tree}}\n" for commit in asked)
        arguments = ("cat-file", "--batch-check=%(objectname)")
        found = self.objects.check(*arguments, stdin=lines.encode()).stdout.decode().splitlines() if asked else []
        self._trees |= {commit: tree for commit, tree in zip(asked, found, strict=True) if " " not in tree}

    def message_of(self, commit: str) -> str:
        raw = self.objects.check("cat-file", "commit", commit_id(commit)).stdout
        return raw.partition(b"\n\n")[2].decode("utf-8", "replace")

    def commit_tree(self, tree: str, parents: Sequence[str], message: str, who: Identity | None = None) -> str:
        """Create a commit and return its id, without the user's signature and hooks. `who` defaults to gump."""
        ids = [commit_id(parent) for parent in parents]
        text = message.replace("\0", "").encode("utf-8", "replace") or b"\n"
        text = text if text.endswith(b"\n") else text + b"\n"
        body = objects.commit_text(commit_id(tree), ids, text, who)
        commit = self._write_commit(body)
        if commit is None:
            commit = self.objects.check("hash-object", "-t", "commit", "-w", "--stdin", stdin=body).line
        self._trees[commit] = tree
        return commit

    def _write_commit(self, body: bytes) -> str | None:
        """Write a commit object without git. Return None if git must do it."""
        if any(key in self._config for key in _OBJECTS_OF_GIT):
            return None
        algorithm = self.layout.get("extensions.objectformat", "sha1")
        return objects.write_loose_commit(self.git_dir / "objects", body, algorithm=algorithm)

    def identity(self) -> Identity | None:
        """Return the identity that git would use for a commit of the user; None if git would refuse to commit."""
        git = GitRunner("-C", str(self.root), is_user=True)
        found = [git.run("var", f"GIT_{role}_IDENT") for role in ("AUTHOR", "COMMITTER")]
        return None if any(result.status for result in found) else objects.Identity(*(result.line for result in found))

    def list_files(self, commit: str) -> list[str]:
        return self.objects.check("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit_id(commit)).fields

    def holds(self, commit: str, path: str) -> bool:
        """True if a commit contains a file or folder with this path."""
        return self.objects.run("cat-file", "-e", f"{commit_id(commit)}:{path}").status == 0

    def read_file(self, commit: str, path: str) -> bytes | None:
        """Return the content of a file, or the target of a symlink; None if the commit has no such file."""
        name = posixpath.normpath(path)
        if posixpath.isabs(name) or name.split("/")[0] in {"..", "."} or "\0" in name:
            return None
        result = self.objects.run("cat-file", "blob", f"{commit_id(commit)}:{name}")
        if result.status == 0:
            return result.stdout
        self.objects.check("cat-file", "-e", f"{commit}^{{commit}}")
        return None

    # -- refs ------------------------------------------------------------------------------------------------------

    def update_ref(self, name: str, commit: str) -> None:
        """Point a ref below refs/gump/ or refs/heads/gump/ at a commit."""
        _check_ref(name)
        if is_run_ref(name) and self._has_loose_refs and loose_refs.write(self.git_dir, name, commit_id(commit)):
            return
        self.objects.check("update-ref", "--no-deref", name, commit_id(commit))

    def swap_ref(self, name: str, commit: str, old: str | None) -> None:
        """Move a ref of gump from `old` to a commit. If `old` is None, the ref must not exist.

        Raises:
            WorktreeError: The ref is not at `old`. Nothing was changed.
        """
        _check_ref(name)
        expected = "" if old is None else commit_id(old)
        if self._swap_loose_ref(name, commit_id(commit), expected):
            return
        self.objects.check("update-ref", "--no-deref", name, commit_id(commit), expected)

    def _swap_loose_ref(self, name: str, commit: str, expected: str) -> bool:
        if not self._has_loose_refs:
            return False
        if expected:
            return loose_refs.swap(self.git_dir, name, commit, expected)
        has_reflogs = self._config.get("core.logallrefupdates") == "true"
        return has_reflogs and loose_refs.create(self.git_dir, name, commit)

    @property
    def _has_loose_refs(self) -> bool:
        """True if refs are plain files that this process can write without git."""
        is_shared = "core.sharedrepository" in self._config
        return not is_shared and self.layout.get("extensions.refstorage", "files") == "files"

    def delete_ref(self, name: str) -> None:
        _check_ref(name)
        self.objects.check("update-ref", "--no-deref", "-d", name)

    def refs(self, prefix: str, *more: str) -> dict[str, str]:
        """Return the refs that are equal to `prefix` or below it, with their commits; likewise for `more`.

        All prefixes must be in refs/gump or refs/heads/gump.
        """
        for start in (prefix, *more):
            if not re.match(r"refs/(?:heads/)?gump(?:/|$)", start):
                raise WorktreeError(f"not a ref of gump: {start!r}")
        listing = ("for-each-ref", "--format=%(objectname) %(refname)", prefix, *more)
        lines = os.fsdecode(self.objects.check(*listing).stdout)
        pairs = (line.split(" ", 1) for line in lines.splitlines())
        return {name: commit for commit, name in pairs}

    # -- the user's checkout ---------------------------------------------------------------------------------------

    def begin_status(self) -> StartedGit:
        """Start the next `status` in the background. The process runs until `status` or `close` is called."""
        self._begun = self.checkout.start(*OF_ALL_FILES)
        return self._begun

    def status(self) -> CheckoutStatus:
        """Return the checked-out commit and branch, and the files that differ from it, including ignored files."""
        begun = self._begun or self.begin_status()
        with contextlib.closing(self):  # Ctrl-C ends it
            self.last_status = checkout_status(begun.result())
        return self.last_status

    def close(self) -> None:
        """End a status that was started but not used."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.close()

    def dirty(self) -> list[str]:
        """Return the tracked files that differ from HEAD, staged or not."""
        return checkout_status(self.checkout.run(*OF_TRACKED_FILES)).dirty

    @property
    def hooks_folder(self) -> Path:
        """The folder of the user's git hooks."""
        named = self._config.get("core.hookspath")
        return self.root / Path(named).expanduser() if named else self.git_dir / "hooks"

    def capture_dirty(self, run_id: str) -> str:
        """Commit the checkout's modified tracked files on top of HEAD, without changing checkout or index.

        The ref refs/gump/<run_id>/dirty points to the commit. Return its id.

        Raises:
            WorktreeError: A merge is unfinished.
        """
        status = checkout_status(self.checkout.run(*OF_TRACKED_FILES))
        if status.unmerged:
            raise WorktreeError(f"a merge is unfinished: {', '.join(status.unmerged)}", hint="finish or abort it first")
        with tempfile.TemporaryDirectory(prefix="gump-dirty-") as folder:
            index = Path(folder, "index")
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(self._worktree_git_dir / "index", index)  # with its time: git rechecks newer files
            env = {"GIT_INDEX_FILE": str(index)}
            self.checkout.check("add", "-u", "--", ":/", env=env)
            tree = self.checkout.check("write-tree", env=env).line
        commit = self.commit_tree(tree, [status.head], f"gump: uncommitted changes that run {run_id} started from\n")
        self.update_ref(dirty_ref(run_id), commit)
        return commit

    # -- comparisons -----------------------------------------------------------------------------------------------

    def changed(self, old: str, new: str) -> tuple[ChangedFile, ...]:
        trees = self.tree_of(old), self.tree_of(new)
        if trees[0] == trees[1]:
            return ()
        if trees not in self._compared:
            self._remember(trees, changes.compare(self.objects, *trees))
        return tuple(entry.change for entry in self._compared[trees])

    def diff(self, old: str, new: str, out: Path) -> None:
        """Write a binary-safe patch to `out`. For a file over 1 MiB, it contains one line with the size."""
        trees = self.tree_of(old), self.tree_of(new)
        if trees[0] == trees[1]:
            files.create(out).close()
        else:
            self._remember(trees, changes.write_diff(self.objects, *trees, out))

    def _remember(self, trees: tuple[str, str], found: tuple[Difference, ...]) -> None:
        """Cache the difference of two trees, which never changes. The cache has the last 16 entries."""
        self._compared = {**dict(list(self._compared.items())[-15:]), trees: found}

    def patch(self, old: str, new: str, out: Path) -> None:
        """Write a patch for `git apply --binary` to `out` that includes files of any size."""
        changes.write_patch(self.objects, old, new, out)

    def diff_text(self, old: str, new: str, limit_chars: int) -> str:
        with tempfile.TemporaryDirectory(prefix="gump-diff-") as folder:
            out = Path(folder, "diff.patch")
            self.diff(old, new, out)
            return bounded_output(out, limit_chars)

    def merge_preview(self, ours: str, theirs: str, base: str | None) -> Merge:
        return merge.merge_preview(self.objects, ours, theirs, base)

    @cached_property
    def layout(self) -> dict[str, str]:
        """The settings that define how files and objects of this repository are stored."""
        return {key: value for key, value in self._config.items() if _LAYOUT.fullmatch(key)}

    @cached_property
    def _config(self) -> dict[str, str]:
        output = os.fsdecode(self.objects.check("config", "--local", "--list", "-z").stdout)
        pairs = (entry.partition("\n") for entry in output.split("\0") if entry)
        return {key: value for key, _, value in pairs}


def _check_ref(name: str) -> None:
    odd = any(part.startswith((".", "-")) or part.endswith((".", ".lock")) or not part for part in name.split("/"))
    if odd or ".." in name or "@{" in name or not _OUR_REF.fullmatch(name):
        raise WorktreeError(f"not a ref of gump: {name!r}")


def _cannot_open(here: Path, error: WorktreeError) -> WorktreeError:
    if "not a git repository" in str(error):
        return WorktreeError(f"{str(here)!r} is not in a git repository", hint="run git init, then commit your files")
    return error
