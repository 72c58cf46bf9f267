"""The steps that a group has beyond those that are declared in it: merges of parallel members, and its own gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.model import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.path import StepPath

MERGE: Final = "merge"
"""Name of the steps that merge the members of a parallel group; no step declared in one may have it."""
GATE: Final = "gate"
"""Name of the step that runs the `gate:` of a group; no step declared in such a group may have it."""
MERGE_STEP: Final = Step(name=MERGE)


def gate_step(group: Step) -> Step:
    """The gate-only step that judges the tree of a group when its members have passed."""
    return Step(name=GATE, gate=group.gate)


def merge_path(group: StepPath, member: str) -> StepPath:
    """The address of a merge: `build::merge[item-2]`, `reviews::merge[security]`."""
    return group.child(MERGE).item(member)


def may_write(step: Step) -> bool:
    """Whether the step, or one below it, may change files."""
    return any(map(may_write, step.steps)) or (step.kind == "agent" and step.output == "diff")


def merged_members(group: Step) -> Iterator[str]:
    """What is in the brackets of a group's merges before the run: `*` for plan items, else names of steps."""
    if not group.parallel:
        return
    if group.foreach is not None:
        yield from ["*"] if may_write(group) else []
    else:
        yield from (step.name for step in group.steps if may_write(step))
