"""Signs of life of a process at the other end of a connection: when it gets no more work, and when it is given up."""

from __future__ import annotations

import time
from typing import Final

BEAT_S: Final = 2.0
"""How often a process says that it is not stopped."""
SILENT_S: Final = 15 * BEAT_S
"""A process that sends nothing for this time is ended, because it no longer watches its agent."""
MUTE_S: Final = 3 * BEAT_S
"""A process that sends nothing for this time gets no new order."""
ANSWER_S: Final = 2.0
"""How long a process may take to answer a request to stop."""
LOOK_S: Final = 1.0
"""How much of the time between two looks counts: this process may have been stopped too, with all others."""


class Liveness:
    def __init__(self) -> None:
        self.silent_s = 0.0
        self._asked_at: float | None = None
        """Since when an answer is due that needs no work."""
        self._looked = time.monotonic()

    @property
    def is_mute(self) -> bool:
        return self.silent_s >= MUTE_S

    def note_sign(self) -> None:
        self.silent_s, self._asked_at = 0.0, None

    def expect_answer(self) -> None:
        self._asked_at = time.monotonic()

    def should_end(self) -> bool:
        """Whether the process is to be given up; to be asked again and again, after all of its messages were taken."""
        now = time.monotonic()
        self.silent_s += min(now - self._looked, LOOK_S)
        self._looked = now
        owes_answer = self._asked_at is not None and now - self._asked_at > ANSWER_S
        return owes_answer or self.silent_s > SILENT_S
