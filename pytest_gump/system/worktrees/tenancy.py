"""Who worked in a slot last: a mark next to it, which each process replaces when it prepares the slot.

A mark that an agent spoils or removes costs time only: the next process removes all ignored files. None can be taken
for our own, because no program can set the time of change.
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
        """Whether nobody has begun or inherited since we began."""
        return self._stamp is not None and self._stamp == self._now()

    @property
    def is_inherited(self) -> bool:
        """Whether the slot may be as an earlier run left it."""
        return not self.is_ours and self._root.directory.read(self._mark) != _BEGUN

    def inherit(self) -> None:
        """Mark the slot as one that an earlier run left: whoever prepares it next removes what that run had ignored."""
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
