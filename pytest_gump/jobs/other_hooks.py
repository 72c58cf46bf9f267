"""Calls hooks of other plugins whose errors must not change anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from pytest_gump.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

STOPS: Final = (KeyboardInterrupt, pytest.exit.Exception)
"""Exceptions that end the session, whoever raises them."""


def trouble(call: Callable[[], object]) -> str | None:
    """Call a hook; returns the error that it raised, as text.

    Raises:
        KeyboardInterrupt: it came.
        Exit: a hook called `pytest.exit`.
    """
    info = pytest.CallInfo.from_call(call, when="call", reraise=STOPS)
    return None if info.excinfo is None else in_a_line(info.excinfo.value)


def in_a_line(error: BaseException) -> str:
    """Return an error as one line."""
    first = clean_text(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
