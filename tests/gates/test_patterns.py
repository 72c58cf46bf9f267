from __future__ import annotations

import pytest
from pytest_gump.gates.patterns import expand, matches

PATHS = ["README.md", "src/a.py", "src/pkg/b.py", "src/pkg/c.txt", "tests/test_a.py"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("src", ["src/a.py", "src/pkg/b.py", "src/pkg/c.txt"]),
        ("src/pkg/", ["src/pkg/b.py", "src/pkg/c.txt"]),
        ("src/*.py", ["src/a.py"]),
        ("src/**/*.py", ["src/a.py", "src/pkg/b.py"]),
        ("*.py", ["src/a.py", "src/pkg/b.py", "tests/test_a.py"]),
        ("/a.py", []),
        ("./src/a.py", ["src/a.py"]),
        ("@tests", ["tests/test_a.py"]),
        ("nothing", []),
    ],
)
def test_patterns_match_as_in_gitignore(pattern: str, expected: list[str]) -> None:
    assert matches([pattern], PATHS) == expected


def test_at_tests_can_mean_the_patterns_of_the_project() -> None:
    assert matches(["@tests"], PATHS, tests=["*.txt"]) == ["src/pkg/c.txt"]


def test_gate_config_covers_the_files_that_gates_read() -> None:
    paths = ["pyproject.toml", "sub/conftest.py", ".github/workflows/ci.yml", "src/a.py"]
    assert matches(["@gate-config"], paths) == paths[:3]


def test_a_later_pattern_can_negate_an_earlier_one() -> None:
    assert matches(["src", "!src/pkg/"], PATHS) == ["src/a.py"]


def test_names_are_replaced_only_as_whole_patterns() -> None:
    assert expand(["x/@tests"]) == ["x/@tests"]
