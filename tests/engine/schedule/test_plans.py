"""The plan of a foreach, and notes on plan items that may change the same files."""

from __future__ import annotations

import pytest
from pytest_gump.order import PlanItem

from tests.engine.schedule_kit import Drive, agent, group, plan

PLAN = agent("p", output="plan")


def notes(*files: str, parallel: bool = True, overlap: str = "report") -> list[str]:
    """Return the notes on a plan whose items have one pattern each."""
    items = tuple(PlanItem(f"i{number}", f"i{number}", files=(pattern,)) for number, pattern in enumerate(files))
    build = group("b", agent("a"), foreach="p", parallel=parallel, overlap=overlap)
    drive = Drive((PLAN, build), plans={"p": items}).run()
    assert all(not settled.notes for settled in drive.settled[1:])
    return drive.settled[0].notes


def test_plan_items_that_may_change_the_same_files_are_noted() -> None:
    found = "b: items i0 and i2 may both change src/a.py"
    assert notes("src/*.py", "docs/a.md", "src/a.py") == [found]
    assert notes("src/*.py", "docs/a.md", "src/a.py", overlap="serialize") == [
        f"{found}, so the second waits for the first"
    ]


def test_serial_plan_items_are_not_compared() -> None:
    assert notes("src/*.py", "src/a.py", parallel=False) == []


@pytest.mark.parametrize(("items", "pairs"), [(1, 0), (3, 3), (4, 6), (5, 10)])
def test_first_five_pairs_are_named(items: int, pairs: int) -> None:
    found = notes(*["src/a.py"] * items)
    assert len(found) == min(pairs, 6)
    assert all(line.startswith("b: items i") for line in found[:5])
    assert (found[5:] == ["and there are more"]) == (pairs > 5)


def test_exactly_five_pairs_are_all_named() -> None:
    found = notes(*[f"/{name}/x.py" for name in "abcde"], *[f"/{name}/" for name in "abcde"])
    assert found == [
        f"b: items i{first} and i{first + 5} may both change /{name}/" for first, name in enumerate("abcde")
    ]


def test_declared_steps_are_not_compared() -> None:
    drive = Drive((group("g", agent("a"), agent("b"), parallel=True),)).run()
    assert [settled.notes for settled in drive.settled] == [[]] * len(drive.settled)


def test_nested_foreach_uses_the_plan_of_the_items_around_it() -> None:
    inner = group("inner", agent("do"), foreach="split")
    middle = group("middle", inner, foreach="q")
    build = group("b", agent("split", output="plan"), middle, foreach="p")
    plans = {"p": plan("x", "y"), "q": plan("m"), "b::split[x]": plan("one"), "b::split[y]": plan("two", "three")}
    drive = Drive((PLAN, agent("q", output="plan"), build), plans=plans).run()
    assert [str(ready.path) for ready in drive.orders[2:]] == [
        "b::split[x]",
        "b::middle::inner::do[x--m--one]",
        "b::split[y]",
        "b::middle::inner::do[y--m--two]",
        "b::middle::inner::do[y--m--three]",
    ]


def test_passed_plan_step_without_a_plan_is_an_error() -> None:
    drive = Drive((PLAN, group("b", agent("a"), foreach="p")), plans={"p": ()})
    with pytest.raises(ValueError, match="no plan for b: "):
        drive.run()
