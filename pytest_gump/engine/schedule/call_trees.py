"""The change that a called workflow gets as `{diff}` in `with`: from the item around the call to the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.nodes import groups_above, top_of
from pytest_gump.engine.schedule.records import CallTrees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.schedule.nodes import Group, Leaf


def call_trees(leaf: Leaf) -> tuple[CallTrees, ...]:
    """Return the trees of each call that contains a step, outermost first."""
    found = [_trees(group) for group in _groups_around(leaf) if group.step.call is not None and group.kind != "foreach"]
    return tuple(reversed(found))


def _groups_around(leaf: Leaf) -> Iterator[Group]:
    """Yield the groups that contain a step, innermost first; after a validator, those around the checked step."""
    group: Group | None = leaf.parent
    while group is not None:
        yield group
        group = group.parent if group.owner is None else group.owner.parent


def _trees(call: Group) -> CallTrees:
    top = top_of(call)
    if top.owner is not None and top.owner.validation is not None:
        return CallTrees(top.owner.begin, top.owner.validation.checked.commit)
    around = next((group for group in groups_above(call) if group.kind == "scope"), top)
    return CallTrees(around.begin, call.began)
