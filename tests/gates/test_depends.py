from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_gump.gates.schema import parse_plan


def read(*items: tuple[str, Any]) -> Any:
    return parse_plan(
        json.dumps([{"name": name, "description": "d", "depends_on": one} for name, one in items]).encode()
    )


def test_names_of_other_items_are_replaced_by_their_slugs() -> None:
    plan = read(("Parse it", None), ("Print it", ["Parse it", "parse-it"]), ("Both", ["Parse it", "Print it"]))
    assert plan.errors == ()
    assert [item.depends_on for item in plan.value] == [(), ("parse-it",), ("parse-it", "print-it")]


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("b", "'depends_on' of item 1 must be an array of names of other items"),
        ([1], "'depends_on' of item 1 must be an array of names of other items"),
        (
            ["printer"],
            "'depends_on' of item 1 names 'printer', which is not an item of the plan: did you mean 'print'?",
        ),
        (["zz"], "'depends_on' of item 1 names 'zz', which is not an item of the plan"),
        (["a"], "items depend on each other in a circle: 'a' -> 'a'"),
    ],
)
def test_mistakes_are_reported(written: Any, error: str) -> None:
    assert read(("a", written), ("print", None)).errors == (error,)


def test_a_cycle_is_reported_in_the_order_of_dependence() -> None:
    (error,) = read(("a", ["b"]), ("b", ["c"]), ("c", ["a"])).errors
    assert error.startswith("items depend on each other in a circle: ")
    assert sorted(error.partition(": ")[2].split(" -> "))[:3] in (
        ["'a'", "'a'", "'b'"],
        ["'a'", "'b'", "'b'"],
        ["'a'", "'b'", "'c'"],
    )


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=6))
def test_any_plan_is_free_of_cycles_or_reported(needs: list[list[str]]) -> None:
    names = "abcdef"[: len(needs)]
    plan = read(*zip(names, needs, strict=True))
    if plan.value is None:
        assert plan.errors
        return
    done: set[str] = set()
    left = list(plan.value)
    while left:
        ready = [item for item in left if set(item.depends_on) <= done]
        assert ready
        done |= {item.slug for item in ready}
        left = [item for item in left if item not in ready]
