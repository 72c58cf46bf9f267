"""Signs of life from a process at the other end of a connection. A silent one gets no orders, and is killed later."""

from __future__ import annotations

import time
from typing import Final

BEAT_S: Final = 2.0
"""Interval between two signs of life."""
SILENT_S: Final = 15 * BEAT_S
"""A process that sends nothing for this time is killed, because it no longer watches its agent."""
MUTE_S: Final = 3 * BEAT_S
"""A process that sends nothing for this time gets no new order."""
ANSWER_S: Final = 2.0
"""A process that does not answer a request to stop within this time is killed."""
LOOK_S: Final = 1.0
"""Most silence that counts between two checks. If the time is longer, this process may have been suspended too."""


class Liveness:
    def __init__(self) -> None:
        self.silent_s = 0.0
        self._asked_at: float | None = None
        """Time of the last request that needs an immediate answer and has none yet."""
        self._looked = time.monotonic()

    @property
    def is_mute(self) -> bool:
        return self.silent_s >= MUTE_S

    def note_sign(self) -> None:
        self.silent_s, self._asked_at = 0.0, None

    def expect_answer(self) -> None:
        self._asked_at = time.monotonic()

    def should_end(self) -> bool:
        """True if the process must be killed. Call it repeatedly, each time after handling all received messages."""
        now = time.monotonic()
        self.silent_s += min(now - self._looked, LOOK_S)
        self._looked = now
        owes_answer = self._asked_at is not None and now - self._asked_at > ANSWER_S
        return owes_answer or self.silent_s > SILENT_S
