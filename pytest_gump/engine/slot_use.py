"""Which worktree slot an attempt of a run gets.

A parallel member keeps its slot while its steps run: agent CLIs find a conversation again only in the folder that it
was held in. All else takes the slot that it had before, or the first one that nobody works in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_gump.workflow.path import StepPath


class SlotUse:
    def __init__(self, lease: Callable[[], str]) -> None:
        """`lease` gives the name of one more slot, which is ours until the run ends."""
        self._lease = lease
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
            living: parallel members whose steps are under way.
            wanted: the slot that holds the conversation to go on with.
        """
        held = {self._last[one] for one in living if one != member and one in self._last}
        taken = {*busy, *held}
        preferred = (wanted, self._last.get(member), *self._names)
        name = next((one for one in preferred if one in self._names and one not in taken), None)
        if name is None:
            name = self._lease()
            self._names.append(name)
        self._last[member] = name
        return name
