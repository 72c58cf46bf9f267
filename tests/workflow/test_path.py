from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.workflow.path import REPLAN, VALIDATE, StepPath

NAMES = ("a", "b", f"a{REPLAN}", f"a{VALIDATE}r")
ITEMS = ("x", "y")
ALL = [
    StepPath(names, items)
    for depth, count in product(range(1, 4), range(3))
    for names, items in product(product(NAMES, repeat=depth), product(ITEMS, repeat=count))
]


@given(st.sampled_from(ALL))
def test_the_scopes_of_a_path_contain_it(path: StepPath) -> None:
    assert {scope for scope in ALL if scope.contains(path)} == set(path.scopes)


def test_folders_of_long_paths_are_short_and_different() -> None:
    assert StepPath.parse("build::impl[item-2]").folder == "build-impl-item-2"
    longest = StepPath(("n" * 119,))
    assert longest.folder == "n" * 119
    folders = {StepPath(("n" * 64,) * depth, items).folder for depth in range(2, 9) for items in ((), ("item",))}
    assert {len(folder) for folder in folders} == {120}
    assert len(folders) == 14


def test_a_step_of_a_validator_belongs_to_the_checked_step_and_to_the_validator() -> None:
    path = StepPath.parse("build::impl--validate-arch-review::correctness[item-2]")
    assert path.validator == StepPath.parse("build::impl--validate-arch-review[item-2]")
    scopes = {str(scope) for scope in path.scopes}
    assert {"build", "build::impl[item-2]", "build::impl--validate-arch-review", str(path)} <= scopes
    assert StepPath.parse("build::impl[item-2]").validator is None
    assert StepPath.parse("build::impl--replan::plan[item-2]").validator is None
