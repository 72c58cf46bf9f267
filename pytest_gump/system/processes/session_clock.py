"""The time in which this process could work.

Not counted: that the machine slept (`time.monotonic` stops then) and that the process stood still (SIGSTOP, Ctrl-Z),
as far as that fell into a wait whose length is known. Setting the wall clock changes nothing.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATE_S: Final = 2.0
"""A wait that ends this much late means that the process was stopped; less may be a busy machine."""


class SessionClock:
    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._monotonic = monotonic
        self._stood_s = 0.0
        self._epoch = wall() - monotonic()

    def __call__(self) -> float:
        """Seconds; only differences mean something."""
        return self._monotonic() - self._stood_s

    def now(self) -> float:
        """Seconds since the epoch, by the wall clock of when this process began; never goes back."""
        return self._epoch + self()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Wraps a wait of at most this many seconds."""
        began = self._monotonic()
        try:
            yield
        finally:
            late_s = self._monotonic() - began - seconds
            if late_s > LATE_S:
                self._stood_s += late_s


CLOCK: Final = SessionClock()
"""Of this process: what stands still is the whole process."""
