"""The change that a called workflow gets as `{diff}` in `with`: from the item around the call to the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.nodes import Leaf, groups_above, top_of
from pytest_gump.engine.schedule.records import CallTrees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.schedule.nodes import Group, StepNode


def call_trees(leaf: Leaf) -> tuple[CallTrees, ...]:
    """Return the trees of each call that contains a step, outermost first."""
    found = [_trees(group) for group in _groups_around(leaf) if group.step.call is not None and group.kind != "foreach"]
    return tuple(reversed(found))


def _groups_around(leaf: Leaf) -> Iterator[Group]:
    """Yield the groups that contain a step, innermost first; after a validator, those around the checked step.

    The gates of a group are outside of it: for a call, they belong to the caller.
    """
    node: StepNode | None = leaf
    while node is not None:
        group = node.parent
        if group is not None and not (isinstance(node, Leaf) and node.role == "gate"):
            yield group
        node = group if group is not None or isinstance(node, Leaf) else node.owner


def _trees(call: Group) -> CallTrees:
    around = next((group for group in groups_above(call) if group.kind == "scope"), top_of(call))
    return CallTrees(around.begin, call.began)
