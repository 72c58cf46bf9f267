"""Sizes of test data. Small sizes are enough to cross a limit; `GUMP_FULL_SIZES=1` uses the documented sizes."""

from __future__ import annotations

import os
from typing import TypeVar

Size = TypeVar("Size")


def full_size(small: Size, full: Size) -> Size:
    """Return `full` if GUMP_FULL_SIZES is set, otherwise `small`."""
    return full if os.environ.get("GUMP_FULL_SIZES") == "1" else small
