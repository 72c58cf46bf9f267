"""Python's search for garbage, where all that is made stays."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGE: Final = 100_000
"""Objects made in the block from which on a session is large."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Do not look for garbage while modules are imported and workflows collected: what is made stays for the session.

    Each look at all objects costs 25 ms with the modules of a run and half a second with a thousand workflows; so those
    of a large session are never looked at again. A small one is left as it was: it may be one of many in its process.
    Measured 2026-11-29 (`benchmarks/README.md`): 3.9 s of CPU, 5.6 without `gc.freeze`, 7.4 without both.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        if gc.get_count()[0] > _LARGE:
            gc.freeze()


def freeze_once() -> None:
    """Leave everything that was made so far out of all later searches.

    pytest searches twice at the end of a session and Python once more, 25 ms each with the modules of a run. Once in a
    process only: what is garbage now stays, and a process may hold many sessions (`pytester`).
    """
    if not gc.get_freeze_count():
        gc.freeze()
