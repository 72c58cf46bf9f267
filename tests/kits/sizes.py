"""Sizes of tests: small ones suffice to cross a limit; `GUMP_FULL_SIZES=1` takes those that are reported or promised."""

from __future__ import annotations

import os
from typing import TypeVar

Size = TypeVar("Size")


def full_size(small: Size, full: Size) -> Size:
    """Give `full` if the environment asks for full sizes, `small` otherwise."""
    return full if os.environ.get("GUMP_FULL_SIZES") == "1" else small
