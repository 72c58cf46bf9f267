"""Git commands on a slot, with its folder as the working tree and an index of this process."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_gump.errors import WorktreeError
from pytest_gump.system.git.runner import SLOT_SETTINGS, GitOutput, GitRunner, failure, git_folder
from pytest_gump.system.worktrees.folder import HANDOVER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_gump.system.directory import Directory
    from pytest_gump.system.worktrees.folder import SlotFolder
    from pytest_gump.system.worktrees.index import SlotIndex

_STATUS: Final = (
    *("status", "--porcelain=v1", "-z", "--ignored=matching", "--untracked-files=normal"),
    *("--no-renames", "--ignore-submodules=all"),
)
_ONLY_TIMES: Final = frozenset({"status", "checkout-index"})
"""Commands that change only the recorded times and sizes of files in the index."""
_QUOTED: Final = re.compile(r"""^(?:error|fatal): .*?(?:"([^"\n]+)"|'([^'\n]+)')""", re.MULTILINE)
_ERROR: Final = re.compile(r"^(?:error|fatal): ", re.MULTILINE)
_IGNORED: Final = "The following paths are ignored by one of your .gitignore files:"
_ROUNDS: Final = 200


class Others(NamedTuple):
    """Paths that differ from the index. A folder includes its contents."""

    untracked: tuple[str, ...]
    ignored: tuple[str, ...]
    modified: tuple[str, ...]
    """Files that differ from the index or are missing."""


class SlotCommands:
    def __init__(self, git_dir: Path, folder: SlotFolder, index: SlotIndex) -> None:
        self._git = GitRunner(git_folder(git_dir), "--work-tree=.", settings=SLOT_SETTINGS)
        self._folder = folder
        self._index = index

    def run(self, *arguments: str, stdin: bytes | None = None, within: Directory | None = None) -> GitOutput:
        """Run a command to its end and return its output, for any exit status. `status` may update times in the index.

        Args:
            arguments: The command and its arguments.
            stdin: Input; by default none.
            within: A working tree to use instead of the slot.
        """
        folder = self._index.ready()
        env = {"GIT_INDEX_FILE": self._index.path(folder), "GIT_OPTIONAL_LOCKS": "1"}
        result = self._git.run(
            *arguments, stdin=stdin, env=env, within=within or self._folder.directory, using=[folder]
        )
        self._index.note_written(same_tree=arguments[0] in _ONLY_TIMES)
        return result

    def check(self, *arguments: str, stdin: bytes | None = None, within: Directory | None = None) -> GitOutput:
        """Run a command to its end. The arguments are those of `run`.

        Raises:
            WorktreeError: The command fails. The message contains git's own message.
        """
        result = self.run(*arguments, stdin=stdin, within=within)
        if result.status:
            raise failure(arguments[0], result)
        return result

    def gitlinks(self) -> list[str]:
        """Return the submodules in the index. Git is called only if the index may contain any."""
        if not self._index.may_hold_submodules:
            return []
        entries = self.check("ls-files", "--stage", "-z").fields
        return [entry.split("\t", 1)[1] for entry in entries if entry.startswith("160000 ")]

    def others(self) -> Others:
        """Return the files that differ from the index, without the agents' output folder."""
        entries = self.check(*_STATUS).fields
        ignored = (entry[3:].rstrip("/") for entry in entries if entry.startswith("!!"))
        return Others(
            untracked=tuple(entry[3:].rstrip("/") for entry in entries if entry.startswith("??")),
            ignored=tuple(path for path in ignored if path != HANDOVER),
            modified=tuple(entry[3:] for entry in entries if entry[1] not in " ?!"),
        )

    def add(self, which: Literal["--all", "--update"], excluded: Sequence[str]) -> list[str]:
        """Update the index from the files, except for `excluded`. Return the files that git refused.

        Args:
            which: `--all` also adds new files; `--update` only updates and removes existing entries.
            excluded: Paths to skip.

        Raises:
            WorktreeError: Git fails for another reason, such as a full disk.
        """
        bad: list[str] = []
        for _ in range(_ROUNDS):
            specs = [f":(top,exclude,literal){path}" for path in (*excluded, *bad)]
            result = self.run("add", which, "--ignore-errors", "--", ":(top)", *specs)
            if result.status == 0 or _is_only_ignored(result):
                return bad
            refused = [first or second for first, second in _QUOTED.findall(result.stderr)]
            fresh = [path.rstrip("/") for path in refused if path.rstrip("/") not in bad]
            if not fresh:
                raise failure("add", result)
            bad += fresh
        raise WorktreeError(f"git refuses to add {len(bad)} files or more: {', '.join(bad[:5])}, ...")

    def untracked(self, paths: Sequence[str]) -> list[str]:
        """Return the files at and below `paths` that are neither in the index nor ignored."""
        if not paths:
            return []
        specs = [f":(top,literal){path}" for path in paths]
        return self.check("ls-files", "--others", "--exclude-standard", "-z", "--", *specs).fields

    def not_ignored(self, paths: Sequence[str]) -> list[str]:
        """Return the paths that git does not ignore."""
        if not paths:
            return []
        result = self.run("check-ignore", "--stdin", "-z", stdin=b"".join(os.fsencode(path) + b"\0" for path in paths))
        if result.status not in {0, 1}:
            raise failure("check-ignore", result)
        ignored = {*result.fields}
        return [path for path in paths if path not in ignored]

    def differing(self, commit: str, paths: Sequence[str]) -> list[str]:
        """Return the paths whose index entries differ from the commit or are not in it."""
        if not paths:
            return []
        specs = [f":(top,literal){path}" for path in paths]
        return self.check("diff-index", "--cached", "--name-only", "--no-renames", "-z", commit, "--", *specs).fields


def _is_only_ignored(result: GitOutput) -> bool:
    """True if git added everything and only complains that an excluded path is ignored."""
    return result.status == 1 and _IGNORED in result.stderr and _ERROR.search(result.stderr) is None
