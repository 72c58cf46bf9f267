"""Retired words and phrases are not used in names and prose."""

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
"""Words, and sequences of words, that no identifier and no option contains."""
RETIRED_ALONE: Final = ("of", "one", "place", "words")
"""Whole identifiers. Use a noun instead (`run`, `attempt`, `location`, `arguments`)."""
KEPT: Final = frozenset({"in_flight"})
"""Sequences of words that contain a retired word but are plain terms."""
PHRASES: Final = re.compile(
    r"\b(?:(?:tak(?:es?|ing|en)|took) up|(?:goe?s?|going) on with|made again|at hand|led back|under way|anew"
    r"|hand(?:s|ed|ing)? over|(?:is|are|be|was|were) told|side by side|leavings|survivors|crew|parcel|(?<![-/])neighbours)\b",
    re.IGNORECASE,
)
"""Phrases that prose does not use. Use instead: resumed, continues, retried, stored, running, again, delivers, gets in its prompt, in parallel."""
ROOT: Final = PACKAGE.parent
PAGES: Final = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("workflows/*")}
)
ONE_LEFT: Final = ['prompt.py: OUTPUT: Final = "What to hand over"']
"""A heading of the prompts. Recorded prompts contain it, and a replay compares them."""


def split(name: str) -> str:
    """Return lower-case words between underscores: `_in_flight_2_` for `_InFlight2`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return f"_{'_'.join(words).lower()}_"


def retired_in(name: str) -> list[str]:
    row = split(name)
    for kept in KEPT:
        row = row.replace(f"_{kept}_", "_")
    return [word for word in RETIRED if f"_{word}_" in row] + [word for word in RETIRED_ALONE if name == word]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Return all names that a module defines or uses, with the parts of imported modules. `Class.of` is allowed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.FunctionDef) and "of" in (
            getattr(node, "attr", ""),
            getattr(node, "name", ""),
        ):
            continue
        for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
            if isinstance(name := getattr(node, field, None), str):
                yield from name.split(".")
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names


def options(tree: ast.AST) -> Iterator[str]:
    """Return the strings that look like options of pytest or `gump`, or like ini settings."""
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.fullmatch(r"--[a-z][a-z-]+|gump_[a-z_]+", text):
            yield text


def test_no_identifier_and_no_option_has_a_retired_word() -> None:
    names: Counter[str] = Counter()
    used: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names.update(identifiers(tree))
        used.update(options(tree))
    assert Counter(word for name in names for word in retired_in(name)) == {}
    assert "--gump-resume" in used
    assert {option for option in used if retired_in(option)} == set()


def test_no_module_or_package_has_a_retired_word() -> None:
    names = {name for path in PACKAGE.rglob("*.py") for name in path.relative_to(PACKAGE).with_suffix("").parts}
    assert "worker_count" in names
    assert {word for name in names for word in retired_in(name)} == set()


def phrases(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [f"{path.name}: {line.strip()}" for line in lines if PHRASES.search(line)]


def test_no_page_has_a_retired_phrase() -> None:
    assert len(PAGES) > 40
    assert [found for page in PAGES for found in phrases(page)] == []


def test_no_docstring_or_message_has_a_retired_phrase() -> None:
    assert [found for path in PACKAGE.rglob("*.py") for found in phrases(path)] == ONE_LEFT


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
def test_words_are_found_in_all_spellings(name: str, words: list[str]) -> None:
    assert retired_in(name) == words
