"""The check whether two patterns can match the same file, compared with their matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.engine.schedule import overlap
from pytest_gump.engine.schedule.overlap import may_overlap
from pytest_gump.gates.patterns import matches

NAMES = st.sampled_from(["a", "b", "ab", "a.py", "b.py", ".a", "pkg.d"])
FOLDERS = st.lists(st.sampled_from(["a", "b", "ab", ".a"]), max_size=3)
PATHS = st.builds(lambda folders, name: "/".join([*folders, name]), FOLDERS, NAMES)
"""No folder name contains a dot, as the functions assume."""
WILD = st.sampled_from(["*", "**", "?", "a*", "*b", "*.py", "[ab]", "[!a].py", "[a-b]*", "?.py"])
PATTERNS = st.builds(
    "{}{}{}".format, st.sampled_from(["", "/"]), st.lists(NAMES | WILD, min_size=1, max_size=4).map("/".join),
    st.sampled_from(["", "/"]),
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _empty_cache() -> None:
    """Clear the cache, so that results cached by other tests are not used here."""
    overlap._meet.cache_clear()


@given(PATHS, st.lists(PATTERNS, min_size=8, max_size=8))
def test_patterns_that_match_one_path_overlap(path: str, patterns: list[str]) -> None:
    found = [pattern for pattern in patterns if matches([pattern], [path])]
    assert [(first, second) for first in found for second in found if not may_overlap(first, second)] == []


@given(PATTERNS, PATTERNS)
def test_overlap_does_not_depend_on_the_order_of_the_patterns(first: str, second: str) -> None:
    assert may_overlap(first, second) == may_overlap(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("src/a.py", "src/b.py"),
        ("src/a.py", "docs/a.py"),
        ("/src/", "/docs/"),
        ("/a.py", "src/a.py"),
        ("/a.py", "src/"),
        ("src/*.py", "src/*.txt"),
        ("src/*.py", "src/deep/a.py"),
        ("src/a?.py", "src/a.py"),
        ("src/a?.py", "src/abc.py"),
        ("src/[ab]c.py", "src/c.py"),
        ("src/[]a].py", "src/ab.py"),
        ("src/a*c.py", "src/ab.py"),
        ("src/ab]c.py", "src/abxc.py"),
        ("src/X", "docs/src/X"),
        ("X.py", "X.py/a.md"),
        ("src/[a]b]c.py", "src/ac.py"),
        ("src/[ab]c.py", "src/[abc.py"),
        ("src/*/a.py", "src/a.py"),
        ("src/**/a.py", "src/b.py"),
        ("src/**/a.py", "docs/**/a.py"),
        ("a.py", "a.py/b.py"),
        ("*.py", "*.md"),
        ("src", "docs/src.py"),
    ],
)
def test_patterns_without_a_common_file_do_not_overlap(first: str, second: str) -> None:
    assert not may_overlap(first, second)
    assert not may_overlap(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.py", "src/a.py"),
        ("src", "src/a.py"),
        ("src", "lib/src/a.py"),
        ("src/", "src/deep/a.py"),
        ("src/", "docs/"),  # docs/src/a.py
        ("pkg.d/", "pkg.d/a.py"),
        ("**", "a.py"),
        ("", "a.py"),
        (".", "a.py"),
        ("/", "src/"),
        ("./src/a.py", "src/a.py"),
        ("src//a.py", "/src/a.py"),
        (" src/a.py ", "src/a.py"),
        ("src/*.py", "src/a*"),
        ("src/a*c.py", "src/ab*.py"),
        ("src/[a-z].py", "src/b.py"),
        ("src/[]a].py", "src/b.py"),
        ("src/[a.py", "src/[a.py"),
        ("src/[a]b].py", "src/ab].py"),
        ("src/[a]/b.py", "src/a/b.py"),
        ("src/?.py", "src/[xy].py"),
        ("src/**/a.py", "src/a.py"),
        ("src/**/a.py", "src/x/y/a.py"),
        ("src/**", "**/a.py"),
        (".github", ".github/workflows/ci.yml"),
        ("docs/.hidden", "docs/.hidden/a"),
        ("src/*/a.py", "src/x/*.py"),
    ],
)
def test_patterns_with_a_common_file_overlap(first: str, second: str) -> None:
    assert may_overlap(first, second)
    assert may_overlap(second, first)
