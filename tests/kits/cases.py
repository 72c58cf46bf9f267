"""Several cases in one test: a failure names its case."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def case(name: object) -> Iterator[None]:
    """Add the name of the case as a note to an error in the block."""
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        error.add_note(f"in the case {name!r}"[:500])
        raise
