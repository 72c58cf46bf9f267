"""One pass of a parallel group: which members may start, which one is merged next, and which have ended.

Members are merged in plan order, independent of the order in which they end. The trees therefore do not depend on the
number of parallel attempts. A member that waits for others starts at the tree with all members up to the last one that
it waits for.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

Merge = TypeVar("Merge")
"""The step that merges a member."""
Failed = TypeVar("Failed")
"""A failure of a member."""
MemberState = Literal["waiting", "running", "passed", "merging", "merged", "failed", "dropped"]
"""`passed` waits for its merge; `merged` includes members without changes to merge; `dropped` can never start, because
a member that it depends on has failed."""


class ParallelPass(Generic[Merge, Failed]):
    def __init__(self, size: int, begin: str, *, needs: Sequence[frozenset[int]], after: Sequence[int]) -> None:
        """`needs[i]`: members that must pass before member i; `after[i]`: number of members that must end before it."""
        self.states: list[MemberState] = ["waiting"] * size
        self.failures: dict[int, list[Failed]] = {}
        self.merges: dict[int, Merge] = {}
        self.heads = [begin]
        """`heads[k]`: the group's commit after the first k members have ended."""
        self._needs = needs
        self._after = after
        self._enterable: list[int] = []
        self._blocked: dict[int, list[int]] = {}
        self._line_up()

    def _line_up(self) -> None:
        self._enterable, self._blocked = [], {}
        for index, state in enumerate(self.states):
            after = self._after[index] if self._after else 0
            if state == "waiting" and after > self.ended:
                self._blocked.setdefault(after, []).append(index)
            elif state == "waiting":
                self._enterable.append(index)

    @property
    def ended(self) -> int:
        """Number of members that have ended, in plan order, which is the index of the next member to merge."""
        return len(self.heads) - 1

    @property
    def is_over(self) -> bool:
        return self.ended == len(self.states)

    @property
    def has_more(self) -> bool:
        """True if a member may start."""
        return bool(self._enterable)

    @property
    def next_index(self) -> int:
        """Index of the first member that may start."""
        return self._enterable[0]

    def enter(self) -> tuple[int, str]:
        """Start the first member that may start; return its index and the commit from which it starts."""
        index = heapq.heappop(self._enterable)
        self.states[index] = "running"
        return index, self.heads[self._after[index] if self._after else 0]

    def _end(self, head: str) -> None:
        """End the next member, with the group's tree at `head`, and unblock members that waited for it."""
        self.heads.append(head)
        for index in self._blocked.pop(self.ended, ()):
            if all(self.states[needed] == "merged" for needed in self._needs[index]):
                heapq.heappush(self._enterable, index)
            else:
                self.states[index] = "dropped"

    def next_merge(self, head: str, may_write: Callable[[int], bool]) -> int | None:
        """End members in plan order and return the first one to merge; None if there is none, or one is not done."""
        while not self.is_over:
            index = self.ended
            state = self.states[index]
            if state in {"waiting", "running", "merging"}:
                return None
            if state == "passed":
                if may_write(index):
                    return index
                self.states[index] = "merged"
            self._end(head)
        return None

    def reopen(self, index: int) -> list[Merge]:
        """Let a failed member run again; return the merges of this and later members, which must be repeated."""
        self.failures.pop(index, None)
        del self.heads[index + 1 :]
        merges = [self.merges.pop(later) for later in range(index, len(self.states)) if later in self.merges]
        for later in range(index, len(self.states)):
            if self.states[later] in {"merged", "merging"}:
                self.states[later] = "passed"
            elif self.states[later] == "dropped":
                self.states[later] = "waiting"
        self.states[index] = "running"
        self._line_up()
        return merges

    def cases(self) -> list[Failed]:
        """Return the failures of all members, in plan order."""
        return [case for index in sorted(self.failures) for case in self.failures[index]]

    def first_failures(self) -> dict[int, Failed]:
        """Return the first failure of each failed member; for a dropped one, that of the member that it depends on."""
        found = {index: cases[0] for index, cases in self.failures.items()}
        for index, state in enumerate(self.states):
            if state == "dropped" and (needed := found.keys() & self._needs[index]):
                found[index] = found[min(needed)]
        return found

    def signature(self) -> Hashable:
        return tuple(self.states), tuple(self.heads), tuple(sorted(self._enterable))
