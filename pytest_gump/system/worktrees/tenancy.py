"""Records which process used a slot last: each process replaces a mark next to the slot when it prepares it.

If an agent changes or removes the mark, the only effect is that the next process removes all ignored files. An agent
cannot forge the mark of a process, because programs cannot set its ctime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pytest_gump.system.worktrees.root import SlotRoot

_INHERITED: Final = b"of an earlier run\n"
_BEGUN: Final = b"of this run\n"


class Tenancy:
    def __init__(self, root: SlotRoot, name: str) -> None:
        self._root = root
        self._mark = f"{name}.tenant"
        self._stamp: tuple[int, ...] | None = None

    @property
    def is_ours(self) -> bool:
        """True if no other process has replaced the mark since `begin`."""
        return self._stamp is not None and self._stamp == self._now()

    @property
    def is_inherited(self) -> bool:
        """True if the slot may contain files of an earlier run."""
        return not self.is_ours and self._root.directory.read(self._mark) != _BEGUN

    def inherit(self) -> None:
        """Mark the slot as left by an earlier run. The next process that prepares it removes all ignored files."""
        self._stamp = None
        self._root.directory.write(self._mark, _INHERITED)

    def begin(self) -> None:
        if not self.is_ours:
            self._root.directory.write(self._mark, _BEGUN)
            self._stamp = self._now()

    def end(self) -> None:
        self._stamp = None
        self._root.directory.put_aside(self._mark)

    def _now(self) -> tuple[int, ...] | None:
        status = self._root.directory.status(self._mark)
        return None if status is None else (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
