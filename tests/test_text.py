from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.text import clean_text, condensed, last_line, listed, one_line, visible, width, without_repeats


def test_a_line_for_the_report_has_no_control_sequences() -> None:
    assert one_line("\x1b[31mred\x1b[0m\tand\x07 more\n") == "red and more"


def test_a_long_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("x" * 200) == "x" * 119 + "…"


def test_the_last_line_that_is_not_empty_is_used() -> None:
    assert last_line("first\n\x1b[1mlast\x1b[0m\n\n  \n") == "last"
    assert last_line("\n\n") == ""


def test_at_most_ten_names_are_listed() -> None:
    assert listed([f"f{number}" for number in range(12)]) == "f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more"
    assert listed(["a\nb"]) == "a b"


def test_a_repeated_line_is_shown_once() -> None:
    text = "\n".join(["start", *["warning: x"] * 50, "end"])
    assert without_repeats(text) == "start\nwarning: x\n... the line above came 50 times ...\nend"


def test_a_repeated_block_is_shown_once() -> None:
    block = ["error in a.py", "  line 1", ""]
    text = "\n".join([*block, *block, "end"])
    assert without_repeats(text) == "error in a.py\n  line 1\n\n... the 3 lines above came 2 times ...\nend"


def test_two_equal_lines_and_empty_lines_are_kept() -> None:
    assert without_repeats("}\n}\n\n\n\nend") == "}\n}\n\n\n\nend"


def test_very_many_empty_lines_are_read_quickly() -> None:
    text = "a" + "\n" * 50_000 + "b"
    assert without_repeats(text) == text


def test_long_output_keeps_head_and_tail() -> None:
    shown = condensed("\n".join(f"line {number}" for number in range(1000)), 300)
    assert shown.startswith("line 0\n")
    assert shown.endswith("line 999")
    assert "lines left out" in shown
    assert len(shown) < 400


@given(st.text(alphabet="ab \n", max_size=300))
def test_condensing_short_text_loses_no_distinct_line(text: str) -> None:
    assert set(text.strip("\n").split("\n")) <= set(condensed(text, 10_000).split("\n"))


@given(st.text(max_size=20))
def test_the_width_of_a_text_is_the_sum_of_its_characters(text: str) -> None:
    wide = {"W": 2, "F": 2}
    widths = [0 if unicodedata.combining(char) else wide.get(unicodedata.east_asian_width(char), 1) for char in text]
    assert width(text) == sum(widths)


@given(st.text(alphabet=[chr(code) for code in range(128)], max_size=20))
def test_the_width_of_ascii_text_is_its_length(text: str) -> None:
    assert width(text) == sum(width(f"{char}é") - 1 for char in text) == len(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+evil()\r+ok", r"+evil()\r+ok"),
        ("\x1b[2K\x9b1m\x7f", r"\x1b[2K\x9b1m\x7f"),
        ("\u202eabc\u2066 a\u200bb \xad", r"\u202eabc\u2066 a\u200bb \xad"),
        ("\té漢 x", "\té漢 x"),
    ],
)
def test_visible_text_hides_nothing_and_controls_nothing(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert clean_text(shown) == shown
