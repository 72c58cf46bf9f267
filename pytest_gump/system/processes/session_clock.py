"""A clock that counts only the time in which this process can run.

It stops while the machine sleeps (as `time.monotonic` does), and while the process is suspended (SIGSTOP, Ctrl-Z)
during a wait of known length. Changes of the wall clock have no effect.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATE_S: Final = 2.0
"""If a wait ends later than this, the process was suspended. A shorter delay may be due to a busy machine."""


class SessionClock:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._suspended_s = 0.0
        self._epoch = wall() - monotonic()

    def __call__(self) -> float:
        """Return the time in seconds. Only differences are meaningful."""
        return self._monotonic() - self._suspended_s

    def now(self) -> float:
        """Return the seconds since the epoch: the wall clock at the start of this process, plus the counted time."""
        return self._epoch + self()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wrap a wait of at most `seconds`. If it ends more than `LATE_S` later, the delay is not counted."""
        began = self._monotonic()
        try:
            yield
        finally:
            late_s = self._monotonic() - began - seconds
            if late_s > LATE_S:
                self._suspended_s += late_s


CLOCK: Final = SessionClock()
"""The clock of this process. There is only one, because a suspension affects the whole process."""
