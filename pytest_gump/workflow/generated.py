"""Steps that a group has in addition to the declared ones: merges of parallel members and its own gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.workflow.model import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.path import StepPath

MERGE: Final = "merge"
"""Name of the steps that merge the members of a parallel group; reserved in such groups."""
GATE: Final = "gate"
"""Name of the step that runs the `gate:` of a group; reserved in such groups."""
MERGE_STEP: Final = Step(name=MERGE)


def has_own_gate(group: Step) -> bool:
    """True if something is checked after the members of the group have passed: by gates, or by a person."""
    return bool(group.gate) or group.hitl is not None


def gate_step(group: Step) -> Step:
    """Return the gate-only step that checks the tree of a group after its members have passed."""
    return Step(name=GATE, gate=group.gate, validators=group.validators, hitl=group.hitl)


def merge_path(group: StepPath, member: str) -> StepPath:
    """Return the path of a merge: `build::merge[item-2]`, `reviews::merge[security]`."""
    return group.child(MERGE).item(member)


def may_write(step: Step) -> bool:
    """True if the step or one below it may change files."""
    return any(map(may_write, step.steps)) or (step.kind == "agent" and step.output == "diff")


def merged_members(group: Step) -> Iterator[str]:
    """Yield the names in brackets of a group's merges, as known before a run: `*` for plan items, or step names."""
    if not group.parallel:
        return
    if group.foreach is not None:
        yield from ["*"] if may_write(group) else []
    else:
        yield from (step.name for step in group.steps if may_write(step))
