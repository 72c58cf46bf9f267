from __future__ import annotations

import errno
import os

import pytest
from pytest_gump.errors import RunError, reason_of


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/x"), "/full/x: No space left on device"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError("told by nobody"), "told by nobody"),
        (RunError("it is gone", hint="look elsewhere"), "it is gone"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode byte 0xff in position 0: bad"),
        (EOFError(), "EOFError"),
    ],
)
def test_an_error_is_told_in_one_line_without_numbers_and_repeats(error: BaseException, text: str) -> None:
    assert reason_of(error) == text
