from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.agents.clis.command_words import Grants

GRANTS = Grants(frozenset({"--mode", "-m"}), frozenset({"--yolo"}), frozenset({"--tools"}))


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--mode auto -v", "-v"),
        ("--mode=auto -v", "-v"),
        ("-mauto -v", "-v"),
        ("-v --mode", "-v"),
        ("--yolo -v --yolo", "-v"),
        ("--tools a b - -v c", "-v c"),
        ("--tools=a b", "b"),
        ("--tools", ""),
        ("--modern auto", "--modern auto"),
        ("a --tools b --mode --yolo c", "a c"),
    ],
)
def test_granting_options_are_removed_with_their_values(words: str, kept: str) -> None:
    assert GRANTS.removed_from(words.split()) == tuple(kept.split())


@given(st.lists(st.sampled_from(["--mode", "--mode=x", "-mx", "--yolo", "--tools", "--tools=y", "x", "-v", "-", ""])))
def test_no_granting_option_is_kept(words: list[str]) -> None:
    kept = GRANTS.removed_from(words)
    assert not {"--mode", "--mode=x", "-mx", "--yolo", "--tools", "--tools=y"} & set(kept)
    assert kept.count("-v") <= words.count("-v")
