"""Which part of pytest-gump reads each argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_gump.jobs.arguments import arguments, names_nothing, ordinary_arguments, own_arguments

if TYPE_CHECKING:
    from pytest_gump.jobs.arguments import ArgumentKind

FILES = ("spec.md", "flow.yaml", "test_a.py", "gone.md", "docs", "spec.md::flow::build")


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (("--gump-workflow=tdd",), ("spec", "tests", "tests", "missing", "tests", "spec")),
        (("--gump-spec=spec.md",), ("tests", "workflow", "tests", "missing", "tests", "tests")),
        (("--gump-workflow=tdd", "--pyargs"), ("spec", "tests", "tests", "tests", "tests", "spec")),
        ((), ("tests", "tests", "tests", "missing", "tests", "tests")),
    ],
    ids=" ".join,
)
def test_each_argument_has_one_owner(
    pytester: pytest.Pytester, options: tuple[str, ...], kinds: tuple[ArgumentKind, ...]
) -> None:
    for name in ("spec.md", "flow.yaml", "test_a.py"):
        (pytester.path / name).touch()
    (pytester.path / "docs").mkdir()
    config = pytester.parseconfig(*options, *FILES)
    assert [argument.kind for argument in arguments(config)] == [*kinds]
    assert [argument.text for argument in arguments(config)] == [*FILES]
    assert names_nothing(config) == ("missing" in kinds)
    assert sorted([*ordinary_arguments(config), *own_arguments(config)]) == sorted(FILES)


def test_paths_of_the_ini_file_are_not_arguments(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntestpaths = docs\n")
    (pytester.path / "docs").mkdir()
    assert arguments(pytester.parseconfig("--gump-workflow=tdd")) == []
