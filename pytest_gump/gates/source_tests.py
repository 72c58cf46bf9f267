"""Finds test functions in source text without running it."""

from __future__ import annotations

import ast
import itertools
import re
import warnings
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Found = dict[str, str]
"""Normalized source of each test, by its name in Python, otherwise by that source. Equal sources are the same test."""


class UnreadableError(ValueError):
    """The source does not parse, so its tests cannot be counted."""


PATTERNS: Final = {
    ("go",): r"^func (?:Test|Fuzz|Example)\w*\(",
    ("rs",): r"#\[(?:\w+::)*(?:test|rstest|test_case|proptest)\b[^\]]{0,300}\]",
    ("js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts"): (
        r"^[ \t]*(?:it|test)(?:\.(?!skip\b|todo\b)\w+)*(?:\([^()\n]*\)|`[^`]*`)?\(\s*(?=[\"'`])"
    ),
    ("java", "kt", "groovy", "scala"): r"@(?:Test|ParameterizedTest|RepeatedTest|TestFactory|Property)\b|^[ \t]*def \"",
    ("rb",): r"^[ \t]*(?:it|specify|scenario|example|test)\b.*(?:\bdo\b|\{)|^[ \t]*def test_\w+",
    ("cs",): r"\[(?:Fact|Theory|Test|TestCase|TestMethod)\b",
    ("php",): r"\bfunction test\w+\s*\(|#\[Test\]|@test\b",
    ("swift",): r"\bfunc test\w+\s*\(|@Test\b",
    ("ex", "exs"): r"^[ \t]*(?:test|property) \"",
    ("dart",): r"^[ \t]*test(?:Widgets)?\(",
    (
        "c",
        "cc",
        "cpp",
        "cxx",
        "h",
        "hpp",
    ): r"^[ \t]*(?:TEST(?:_F|_P|_CASE)?|TYPED_TEST|SCENARIO)\s*\(|\bvoid test_?\w+\s*\(",
    ("bats",): r"^@test ",
    ("sh",): r"^(?:function )?test_?\w+\s*\(\)",
}
"""Patterns for the start of a test, by file name extension, for languages that are not parsed."""

_BY_ENDING: Final = {
    ending: re.compile(pattern, re.MULTILINE) for endings, pattern in PATTERNS.items() for ending in endings
}


def find_tests(path: str, source: bytes) -> Found:
    """Return the tests of one file.

    Raises:
        UnreadableError: A Python file that does not parse.
    """
    ending = path.rpartition(".")[2].lower()
    if ending == "py":
        return _python(source)
    pattern = _BY_ENDING.get(ending)
    return {} if pattern is None else _by_pattern(pattern, source.decode("utf-8", "replace"))


def _by_pattern(pattern: re.Pattern[str], text: str) -> Found:
    """Return the tests of a file. The source of a test ends where the next test starts."""
    starts = [match.start() for match in pattern.finditer(text)]
    chunks = (text[start:end] for start, end in itertools.pairwise([*starts, len(text)]))
    normal = [" ".join(chunk.split()) for chunk in chunks]
    return dict(zip(normal, normal, strict=True))


def _python(source: bytes) -> Found:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        return {name: ast.dump(node) for name, node in _python_tests(tree.body, "")}
    except SyntaxError as error:
        raise UnreadableError(f"line {error.lineno or 1}: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(str(error) or type(error).__name__) from error


def _python_tests(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test"):
                yield f"{prefix}{name}", node
            case ast.ClassDef(name=name) if name.startswith("Test") or _is_test_case(node):
                yield from _python_tests(node.body, f"{prefix}{name}.")
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                yield from _python_tests(_inner(node), prefix)


def _is_test_case(node: ast.ClassDef) -> bool:
    bases = (base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases)
    return any(base.endswith(("TestCase", "Tests", "Test")) for base in bases)


def _inner(node: ast.If | ast.Try | ast.With | ast.For | ast.While) -> list[ast.stmt]:
    body = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
    for handler in getattr(node, "handlers", []):
        body += handler.body
    return body
