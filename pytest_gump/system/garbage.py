"""Python's garbage collection, switched off where all new objects are kept."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGE: Final = 100_000
"""A block that creates more objects is large."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Disable garbage collection while modules are imported and workflows are collected.

    Objects created in this block are kept for the whole session. A full collection takes 25 ms with the modules of a
    run, and half a second with a thousand workflows. After a large block, its objects are frozen: later collections
    skip them. After a small block, nothing is frozen, because the session may be one of many in its process.

    Measured 2026-11-29 (`benchmarks/README.md`), for 1,000 workflow files: 3.9 s of CPU; 5.6 s without `gc.freeze`;
    7.4 s if garbage collection is also enabled.
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
    """Exclude all existing objects from later garbage collections.

    pytest collects garbage twice at the end of a session, and Python once more. Each collection takes 25 ms with the
    modules of a run. Later calls do nothing: frozen garbage is never freed, and a process may run many sessions
    (`pytester`).
    """
    if not gc.get_freeze_count():
        gc.freeze()
