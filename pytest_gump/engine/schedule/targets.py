"""The steps that a restart or a conflict goes back to."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.nodes import Group, Reopened, groups_above
from pytest_gump.workflow.path import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.engine.schedule.nodes import Leaf, StepNode


def writers(node: StepNode) -> Iterator[Leaf]:
    """Yield the steps below a node that may change the tree, last first."""
    if isinstance(node, Group):
        for member in reversed(node.members):
            yield from writers(member) if member is not None else ()
    elif node.mode == "diff":
        yield node


def writer_of(merge: Leaf) -> Leaf:
    """Return the last writing step of the member that is merged. Only members with such a step are merged."""
    return next(writers(merge.parent.entered(merge.index)))


def reopened_by(merge: Leaf, writer: Leaf, agent: str | None) -> Reopened:
    """Return what is kept if a member is restarted: otherwise, conflicts and passes of a group could repeat forever.

    `writer` is the last writing step of the member, and `agent` is its agent.
    """
    tallies = {writer.path: writer.tally}
    for group in itertools.takewhile(lambda group: group is not merge.parent, groups_above(writer)):
        tallies[group.path] = group.tally
    return Reopened(writer.path, agent, tallies)


def restart_target(node: StepNode, name: str) -> tuple[Group, StepNode]:
    """Find the earlier sibling (or `node` itself) that a restart jumps back to, with the group that holds both.

    Raises:
        ValueError: No earlier sibling has this name.
    """
    group = node.parent
    if group is not None:
        for sibling in group.members[: node.index + 1]:
            if sibling is not None and sibling.step.name == name:
                return group, sibling
    raise ValueError(f"cannot restart {node.path} from {name!r}: not an earlier sibling")


def first_before(group: Group, target: StepNode) -> int:
    """Return the index of the first call for the context of a step: they run again before it; or its own index."""
    index = target.index
    while index and group.steps[index - 1].name.startswith(f"{target.step.name}{CONTEXT}"):
        index -= 1
    return index
