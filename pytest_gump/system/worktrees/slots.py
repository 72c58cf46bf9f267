"""The slots of a repository by name, and their folder."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from pytest_gump.errors import WorktreeError
from pytest_gump.system.cache import user_cache
from pytest_gump.system.kept_ignored import KEEP_IGNORED
from pytest_gump.system.worktrees.index import SlotIndex
from pytest_gump.system.worktrees.root import SlotRoot
from pytest_gump.system.worktrees.slot import Slot
from pytest_gump.system.worktrees.sweep import Sweeper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_gump.system.git.repository import Repository

_SLOT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Slots:
    """The slots of one repository, all in one folder."""

    def __init__(
        self, repository: Repository, root: Path, *, keep: Sequence[str] = KEEP_IGNORED, shared: bool = False
    ) -> None:
        """Create nothing on disk yet.

        Args:
            repository: The user's repository.
            root: The folder of the slots.
            keep: Names of ignored files that stay in slots between attempts.
            shared: True if this process and others use the slots in turn. After another process, only data that the
                ctime protects is reused.
        """
        self.repository = repository
        self.root = root
        self.folder = SlotRoot(root)
        self.keep = tuple(keep)
        self.shared = shared
        self._slots: dict[str, Slot] = {}
        self._known: dict[str, tuple[SlotIndex, Sweeper]] = {}
        """Index and sweeper of each slot. They stay valid after other processes, because they compare ctimes, which
        programs cannot set.
        """

    @staticmethod
    def default_root(repository: Repository, override: str | None = None) -> Path:
        """Return `<cache>/gump/worktrees/<repository>-<hash>`, or a folder in `.gump/` if the cache is not writable."""
        digest = hashlib.sha256(os.fsencode(repository.git_dir)).hexdigest()[:8]
        name = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', repository.root.name).strip('-.') or 'repository'}-{digest}"
        if override:
            return repository.root / os.path.expanduser(override) / name  # noqa: PTH111 - pathlib's raises
        base = user_cache()
        if base.is_absolute() and _is_writable(base):
            return base / "gump" / "worktrees" / name
        return repository.root / ".gump" / "worktrees" / name

    def slot(self, name: str) -> Slot:
        if not _SLOT_NAME.fullmatch(name) or ".." in name:
            raise WorktreeError(f"not a valid name of a worktree slot: {name!r}")
        if name not in self._slots or (self.shared and not self._slots[name].is_ours):
            index, sweeper = self._known.setdefault(name, (SlotIndex(self.folder, name), Sweeper()))
            self._slots[name] = Slot(self.repository, self.folder, name, self.keep, index=index, sweeper=sweeper)
        return self._slots[name]


def _is_writable(folder: Path) -> bool:
    existing = next(each for each in (folder, *folder.parents) if os.path.exists(each))  # noqa: PTH110 - never raises
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
