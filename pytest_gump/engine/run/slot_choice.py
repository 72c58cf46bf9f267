"""Choice of the worktree slot for an attempt.

A parallel member keeps its slot while its steps run, because agent CLIs can resume a conversation only in its original
folder. A validator has a slot of its own beside that of the attempt that it checks. Other steps use their previous
slot, or the first free one. An order may also have a side slot: a second worktree that no other order uses at that
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_gump.system.worktrees.pool import SlotPool
    from pytest_gump.workflow.path import StepPath


class SlotChoice:
    def __init__(self, pool: SlotPool) -> None:
        self._pool = pool
        self._names: list[str] = []
        self._sides: list[str] = []
        self._last: dict[StepPath | None, str] = {}

    def abandon(self, name: str) -> None:
        """Never choose the slot again: a lost process may still be running in it."""
        for names in (self._names, self._sides):
            if name in names:
                names.remove(name)

    def choose(
        self,
        member: StepPath | None,
        *,
        busy: Collection[str],
        living: Collection[StepPath | None],
        wanted: str | None,
    ) -> str:
        """Return a slot for the next attempt.

        Args:
            member: The parallel member or validator that the attempt belongs to, if any.
            busy: Slots of running attempts.
            living: Parallel members and validators whose steps are running; None for the steps outside of them.
            wanted: The slot with the conversation to continue, if any.
        """
        kept = {self._last[other] for other in living if other != member and other in self._last}
        taken = {*busy, *kept}
        preferred = (wanted, self._last.get(member), *self._names)
        name = next(
            (slot for slot in preferred if slot in self._names and slot not in taken and self._is_ours(slot)), None
        )
        if name is None:
            name = self._pool.lease()
            self._names.append(name)
        self._last[member] = name
        return name

    def choose_side(self, busy: Collection[str]) -> str:
        """Return a side slot for one order. It is free again when the order is not in `busy` any more."""
        name = next((slot for slot in [*self._sides] if slot not in busy and self._is_ours(slot)), None)
        if name is None:
            name = self._pool.lease()
            self._sides.append(name)
        return name

    def _is_ours(self, name: str) -> bool:
        """True if the run still holds the slot's lease; otherwise the slot is never chosen again."""
        if self._pool.holds(name):
            return True
        self.abandon(name)
        return False
