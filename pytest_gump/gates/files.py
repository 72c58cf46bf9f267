"""Read files that an agent left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.errors import WorktreeError
from pytest_gump.system.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 2 * 1024 * 1024


def read_or_none(worktree: Path, name: str, *, max_bytes: int = MAX_BYTES) -> bytes | None:
    """Content of a regular file; None for anything else: a link (also on the way to it), a FIFO, too large, gone."""
    try:
        return read_regular(worktree, name, max_bytes)
    except WorktreeError:
        return None
