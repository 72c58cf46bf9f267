"""Gitignore-style patterns over paths relative to the root."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_gump.gates.tools.detect import GATE_CONFIG, TEST_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pathspec import GitIgnoreSpec


def matches(patterns: Iterable[str], paths: Iterable[str], *, tests: Sequence[str] = ()) -> list[str]:
    """Give the paths that match, in their order; a pattern that names a directory matches its content.

    Args:
        patterns: gitignore-style; `@tests` and `@gate-config` stand for the tables of all known languages.
        paths: `/`-separated, relative to the root.
        tests: what `@tests` stands for instead of the table.

    Raises:
        ValueError: a pattern is not one.
    """
    spec = _compiled(tuple(expand(patterns, tests=tests)))
    return [path for path in paths if spec.match_file(path)]


@lru_cache(maxsize=32)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """Every attempt asks for the same few; a long table takes a millisecond."""
    from pathspec import GitIgnoreSpec  # 11 ms that most runs do without

    return GitIgnoreSpec.from_lines(patterns)


def expand(patterns: Iterable[str], *, tests: Sequence[str] = ()) -> list[str]:
    """Put the patterns themselves where a name stands for them."""
    named = {"@tests": tuple(tests) or TEST_PATTERNS, "@gate-config": GATE_CONFIG}
    return [pattern.removeprefix("./") for written in patterns for pattern in named.get(written.strip(), (written,))]
