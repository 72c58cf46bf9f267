from __future__ import annotations

import errno
import os

import pytest
from pytest_gump.errors import RunError, nearest, reason_of, suggest


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
def test_the_reason_of_an_error_is_one_line_without_number_and_repetition(error: BaseException, text: str) -> None:
    assert reason_of(error) == text


@pytest.mark.parametrize(
    ("word", "most", "hint"),
    [
        ("implment", 1, "did you mean 'implement'?"),
        ("plan", 2, "did you mean 'plan' or 'plans'?"),
        ("zzz", 1, "known: 3"),
        ("implement" * 1000, 1, "known: 3"),
    ],
)
def test_a_hint_names_similar_words_or_the_default_text(word: str, most: int, hint: str) -> None:
    assert suggest(word, ("implement", "plan", "plans"), "known: 3", most=most) == hint


def test_a_stricter_cutoff_finds_fewer_words() -> None:
    assert nearest("pln", ["plane"]) == ["plane"]
    assert nearest("pln", ["plane"], cutoff=0.8) == []
