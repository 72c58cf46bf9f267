from __future__ import annotations

from pytest_gump.units import plural


def test_one_has_no_plural() -> None:
    assert (plural(1, "file"), plural(2, "file")) == ("1 file", "2 files")


def test_plural_that_does_not_end_in_a_mere_s_is_given() -> None:
    assert [plural(number, "box", "boxes") for number in (0, 1, 2)] == ["0 boxes", "1 box", "2 boxes"]
