"""Names in the package are those of the field: retired words do not come back."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import pytest_gump

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(pytest_gump.__file__).parent
RETIRED: Final = (
    "anew", "asking", "at_hand", "crew", "equipment", "flight", "hear", "heard", "hears", "held", "land", "landed",
    "leavings", "led_back", "neighbours", "parcel", "performance", "survivors", "take_up", "taken_up", "takes_up",
    "tell", "tells", "told", "voice",
)  # fmt: skip
"""Words, and rows of words, that are no part of an identifier or an option."""
RETIRED_ALONE: Final = ("of", "one", "place", "words")
"""Whole identifiers: the noun says what it is (`run`, `attempt`, `location`, `arguments`)."""
KEPT: Final = frozenset({"in_flight"})
"""Rows of words that hold a retired one and are plain terms."""
LEFT: Final = {
    "crew": 8, "equipment": 7, "hear": 6, "heard": 41, "held": 34, "land": 5,
    "survivors": 10, "tell": 28, "tells": 10, "told": 111, "voice": 2,
    "of": 148, "one": 1127, "place": 432, "words": 238,
}  # fmt: skip
"""How often a retired word is still used. Lower a number when you remove uses, and its line with the last one."""


def split(name: str) -> str:
    """`_InFlight2` is `_in_flight_2_`: lower-case words between underscores."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return f"_{'_'.join(words).lower()}_"


def retired_in(name: str) -> list[str]:
    row = split(name)
    for kept in KEPT:
        row = row.replace(f"_{kept}_", "_")
    return [word for word in RETIRED if f"_{word}_" in row] + [word for word in RETIRED_ALONE if name == word]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that a module defines or uses, the parts of imported modules included."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
            if isinstance(name := getattr(node, field, None), str):
                yield from name.split(".")
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names


def options(tree: ast.AST) -> Iterator[str]:
    """Options of pytest and of `gump`, and ini settings: the strings that look like one."""
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"--[a-z][a-z-]+|gump_[a-z_]+", text):
            yield text


TREES: Final = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))]


def test_no_identifier_has_a_retired_word() -> None:
    used = Counter(word for tree in TREES for name in identifiers(tree) for word in retired_in(name))
    assert {word: count for word, count in used.items() if count > LEFT.get(word, 0)} == {}


def test_no_option_has_a_retired_word() -> None:
    used = {option for tree in TREES for option in options(tree)}
    assert "--gump-resume" in used
    assert {option for option in used if retired_in(option)} == set()


def test_no_module_or_package_has_a_retired_word() -> None:
    names = {path.stem for path in PACKAGE.rglob("*")}
    assert "worker_count" in names
    assert {word for name in names for word in retired_in(name)} <= LEFT.keys()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("is_taken_up", ["taken_up"]),
        ("CrewOfTwo", ["crew"]),
        ("_told_at", ["told"]),
        ("--gump-take-up", ["take_up"]),
        ("place", ["place"]),
        ("one_line", []),
        ("InFlight", []),
        ("FlightPlan", ["flight"]),
        ("invoice", []),
        ("is_island", []),
    ],
)
def test_words_are_found_in_every_spelling(name: str, words: list[str]) -> None:
    assert retired_in(name) == words
