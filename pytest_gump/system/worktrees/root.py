"""The folder of the slots and of the files next to them, and secret folders for git commands on slots."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_gump.system.directory import OURS, Directory
from pytest_gump.system.locks import lock, try_lock
from pytest_gump.system.private_folder import PrivateFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE: Final = "gump-index-"


class SlotRoot(PrivateFolder):
    def __init__(self, path: Path) -> None:
        ours = 1 + (path.parent.name == "worktrees") * (1 + (path.parent.parent.name == "gump"))
        super().__init__(path, ours=ours)
        self._private: Directory | None = None

    @property
    def private(self) -> Directory:
        """A folder of this process with an unguessable name. It is removed when the process ends.

        It contains the indexes, because git opens an index by path, follows a link in its place and trusts its content.
        """
        if self._private is None or not self._private.is_there:
            clear_leftovers()
            self._private = _locked_folder()
            weakref.finalize(self, _clear, self._private.path, os.getpid())
        return self._private

    @contextlib.contextmanager
    def stage(self) -> Iterator[Directory]:
        """Provide a temporary empty folder with a secret name, on the same disk as the slots."""
        folder = self.private if self.private.identity[0] == self.directory.identity[0] else self.directory
        name = f".stage-{secrets.token_hex(12)}"
        os.mkdir(name, OURS, dir_fd=folder.descriptor)
        try:
            yield folder.folder(name)
        finally:
            folder.remove(name)


def _locked_folder() -> Directory:
    """Create a folder that stays locked until this process and its git commands have ended."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PRIVATE))
        with contextlib.suppress(FileNotFoundError):  # another process removed it before it was locked
            folder = Directory.open(path)
            if lock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) and folder.is_there:
                return folder


def clear_leftovers() -> None:
    """Remove the folders of killed processes: those that belong to this user, have mode 0700 and are not locked."""
    for path in Path(tempfile.gettempdir()).glob(f"{PRIVATE}*"):
        with contextlib.suppress(OSError):
            folder = Directory.open(path)
            status = os.fstat(folder.descriptor)
            is_ours = status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == OURS
            if is_ours and try_lock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(path)


def _clear(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(path, ignore_errors=True)
