"""Gitignore-style patterns for paths relative to the root."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_gump.gates.tools.detect import GATE_CONFIG, TEST_PATTERNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pathspec import GitIgnoreSpec


def matches(patterns: Iterable[str], paths: Iterable[str], *, tests: Sequence[str] = ()) -> list[str]:
    """Return the paths that match, in their order. A pattern that names a directory matches its content.

    Args:
        patterns: Gitignore-style; `@tests` and `@gate-config` stand for the built-in patterns of all known languages.
        paths: `/`-separated, relative to the root.
        tests: Patterns for `@tests`, in place of the built-in ones.

    Raises:
        ValueError: A pattern is invalid.
    """
    spec = _compiled(tuple(expand(patterns, tests=tests)))
    return [path for path in paths if spec.match_file(path)]


@lru_cache(maxsize=32)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """Compile patterns. Cached, because attempts use the same few, and a long list takes a millisecond."""
    from pathspec import GitIgnoreSpec  # takes 11 ms, and most runs do not need it

    return GitIgnoreSpec.from_lines(patterns)


def expand(patterns: Iterable[str], *, tests: Sequence[str] = ()) -> list[str]:
    """Replace `@tests` and `@gate-config` with their patterns."""
    named = {"@tests": tuple(tests) or TEST_PATTERNS, "@gate-config": GATE_CONFIG}
    return [pattern.removeprefix("./") for written in patterns for pattern in named.get(written.strip(), (written,))]
