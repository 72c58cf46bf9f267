"""Which worktree slot an attempt of a run gets.

A parallel member keeps its slot while its steps run: agent CLIs find a conversation again only in the folder that it
was held in. All else takes the slot that it had before, or the first one that nobody works in.
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
        self._last: dict[StepPath | None, str] = {}

    def abandon(self, name: str) -> None:
        """Never choose a slot again: something that was lost may live in it."""
        self._names.remove(name)

    def choose(
        self, member: StepPath | None, *, busy: Collection[str], living: Collection[StepPath], wanted: str | None
    ) -> str:
        """Choose a slot for the next attempt of a parallel member (None: of no member).

        Args:
            busy: slots that attempts work in now.
            living: parallel members whose steps are running.
            wanted: the slot that has the conversation to continue.
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

    def _is_ours(self, name: str) -> bool:
        """Whether we still hold the slot's lease; if not, the slot is never chosen again."""
        if self._pool.holds(name):
            return True
        self.abandon(name)
        return False
