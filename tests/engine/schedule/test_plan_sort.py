"""Order and waits of plan items, compared with simple implementations, and the number of comparisons."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_gump.engine.schedule import plan_sort
from pytest_gump.engine.schedule.overlap import may_overlap
from pytest_gump.engine.schedule.plan_sort import Waits, in_order, overlaps, waits
from pytest_gump.order import PlanItem

SEGMENTS = st.sampled_from(
    ["a", "b", "a.py", "b.py", "*", "**", "*.py", "a?", "[ab].py", "[a", "", ".", "a*b", "pkg.d"]
)
PATTERNS = st.builds("{}{}{}".format, st.sampled_from(["", "/"]), st.lists(SEGMENTS, max_size=4).map("/".join), st.sampled_from(["", "/"]))  # fmt: skip


def plan_of(*files: tuple[str, ...]) -> list[PlanItem]:
    return [PlanItem(f"Item {number}", f"i{number}", "do", patterns) for number, patterns in enumerate(files)]


@given(st.lists(st.lists(PATTERNS, max_size=3).map(tuple), max_size=6))
@example([("src/a.py",), ("src/",), ("src/a.py", "b.py"), ("**/b.py",), ("src/*",)])
def test_overlaps_are_found_for_every_pair(files: list[tuple[str, ...]]) -> None:
    plan = plan_of(*files)
    pairs = [
        (first, second, pattern)
        for second in range(len(plan))
        for first in range(second)
        for pattern in [
            next((new for new in files[second] if any(may_overlap(old, new) for old in files[first])), None)
        ]
        if pattern is not None
    ]
    assert list(overlaps(plan)) == pairs


def test_items_with_literal_paths_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def recording(first: str, second: str) -> bool:
        compared.append((first, second))
        return may_overlap(first, second)

    monkeypatch.setattr(plan_sort, "may_overlap", recording)
    plan = plan_of(
        *((f"src/m{number}.py", f"tests/m{number}/") for number in range(200)), ("src/*.py",), ("src/m7.py",)
    )
    assert [pair[:2] for pair in overlaps(plan)] == [*((number, 200) for number in range(200)), (7, 201), (200, 201)]
    assert len(compared) <= 3 * 201


@st.composite
def plans(draw: st.DrawFn) -> list[PlanItem]:
    slugs = draw(st.permutations([f"i{number}" for number in range(draw(st.integers(0, 8)))]))
    needs = [draw(st.lists(st.sampled_from(slugs[:at]), max_size=3)) if at else [] for at in range(len(slugs))]
    items = [PlanItem(slug, slug, "do", (), tuple(needed)) for slug, needed in zip(slugs, needs, strict=True)]
    return draw(st.permutations(items))


@given(plans())
def test_items_keep_their_order_after_their_dependencies(plan: list[PlanItem]) -> None:
    ordered: list[PlanItem] = []
    left = [*plan]
    while left:
        done = {item.slug for item in ordered}
        ordered.append(next(item for item in left if done.issuperset(item.depends_on)))
        left.remove(ordered[-1])
    assert in_order(plan) == tuple(ordered)


@pytest.mark.parametrize("needs", [("i0",), ("i1",), ("nobody",)])
def test_circular_dependency_is_an_error(needs: tuple[str, ...]) -> None:
    items = [PlanItem("a", "i0", "do", (), needs), PlanItem("b", "i1", "do", (), ("i0",)), PlanItem("c", "i2", "do")]
    with pytest.raises(ValueError, match=r"^items of the plan depend on each other in a circle$"):
        in_order(items)


@given(plans(), st.data(), st.booleans())
def test_item_waits_for_the_last_item_that_it_needs_or_overlaps(
    plan: list[PlanItem], data: st.DataObject, serialize: bool
) -> None:
    files = [data.draw(st.lists(PATTERNS, max_size=2).map(tuple)) for _ in plan]
    items = [
        PlanItem(item.name, item.slug, "do", patterns, item.depends_on)
        for item, patterns in zip(in_order(plan), files, strict=True)
    ]
    index = {item.slug: number for number, item in enumerate(items)}
    needs = tuple(frozenset(index[slug] for slug in item.depends_on) for item in items)
    shared = [
        {first for first, second, _ in overlaps(items) if serialize and second == number}
        for number in range(len(items))
    ]
    after = tuple(max(needed | others, default=-1) + 1 for needed, others in zip(needs, shared, strict=True))
    assert waits(items, serialize=serialize) == (Waits(needs, after) if any(after) else Waits())


def test_items_without_shared_files_do_not_wait() -> None:
    assert waits(plan_of(("/a.py",), ("/b.py",)), serialize=True) == Waits()
