from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.workflow.path import REPLAN, StepPath

NAMES = ("a", "b", f"a{REPLAN}")
ITEMS = ("x", "y")
ALL = [
    StepPath(names, items)
    for depth, count in product(range(1, 4), range(3))
    for names, items in product(product(NAMES, repeat=depth), product(ITEMS, repeat=count))
]


@given(st.sampled_from(ALL))
def test_the_scopes_of_a_path_contain_it(path: StepPath) -> None:
    assert {scope for scope in ALL if scope.contains(path)} == set(path.scopes)
