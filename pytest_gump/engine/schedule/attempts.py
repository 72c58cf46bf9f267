"""Create the attempts of a leaf: the first, the next, and the parts of a replan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.call_trees import call_trees
from pytest_gump.engine.schedule.decision import Retry
from pytest_gump.engine.schedule.nodes import Replanning, judged_by
from pytest_gump.engine.schedule.records import Ready
from pytest_gump.workflow.path import CONTEXT, REPLAN, StepPath

if TYPE_CHECKING:
    from collections import Counter

    from pytest_gump.engine.schedule.decision import Replan
    from pytest_gump.engine.schedule.nodes import FailureCase, Leaf, StepNode
    from pytest_gump.engine.schedule.records import Checked, EntryKind

    Numbers = Counter[StepPath]
    """Newest attempt number of each path."""


def next_number(numbers: Numbers, path: StepPath) -> int:
    numbers[path] += 1
    return numbers[path]


def _own(leaf: Leaf, agent: str | None, base: str, case: FailureCase | None = None) -> Ready:
    """Return an attempt of the step itself, with the fields that all kinds of attempts share."""
    return Ready(
        leaf.path,
        leaf.step,
        leaf.attempt,
        agent,
        leaf.mode,
        base,
        step_base=leaf.begin,
        failure=case.failure if case else None,
        failed=case.path if case else None,
        items=leaf.items,
        keep_item=leaf.item,
        calls=call_trees(leaf),
        checks=_checked(leaf),
    )


def _checked(leaf: Leaf) -> Checked | None:
    """Return the change to check, if the step is part of a validator."""
    owner = judged_by(leaf)
    return None if owner is None or owner.validation is None else owner.validation.checked


def first_attempt(leaf: Leaf, numbers: Numbers) -> Ready:
    """Return the first attempt after the step is entered: declared or escalated agent, current tree of its lane."""
    leaf.attempt = next_number(numbers, leaf.path)
    has_run = leaf.attempt > 1
    entry: EntryKind = leaf.cause if has_run else "first"
    if leaf.mode in {"gate", "approve"}:
        began = leaf.parent.begin if leaf.role == "gate" else leaf.begin
        return replace(_own(leaf, None, leaf.begin), step_base=began, entry=entry, role=leaf.role, keep_item=None)
    reopened = leaf.parent.reopened
    is_reopened = reopened is not None and reopened.path == leaf.path
    leaf.agent = (reopened.agent if reopened and is_reopened else None) or leaf.parent.override or leaf.declared
    case, is_fresh = _take_case(leaf)
    is_resumed = has_run and leaf.cause == "group" and leaf.parent.session == "resume"
    return replace(
        _own(leaf, leaf.agent, leaf.begin, case),
        entry=entry,
        session="fresh" if is_fresh else "resume" if is_resumed else "policy",
    )


def _take_case(leaf: Leaf) -> tuple[FailureCase | None, bool]:
    """Remove and return the failure that the step's prompt must describe, and True if its conversation must be new.

    After a restart, the failure goes to the first agent step from the target on. In a new pass of a group, it goes to
    the first agent step with the same plan item as the failed one. A workflow for the context of a step gets neither.
    """
    if any(CONTEXT in name for name in leaf.path.names):
        return None, False
    node: StepNode = leaf
    while (group := node.parent) is not None:
        restarted = group.restarted
        is_meant = restarted is not None and (not group.is_parallel or restarted.until == node.index)
        if restarted is not None and is_meant and not restarted.is_shown:
            restarted.is_shown = True
            return restarted.case, True
        message = group.message(node.index)
        is_fresh, message.is_fresh = message.is_fresh, False
        case = next((case for case in message.cases if case.concerns(leaf.path)), None)
        if case is not None:
            message.cases.remove(case)
        if case is not None or is_fresh:
            return case, is_fresh
        node = group
    return None, False


def merge_attempt(leaf: Leaf, member: StepNode, numbers: Numbers) -> Ready:
    """Return the merge of the changes of `member` into the tree of its group; both began at the same commit."""
    leaf.attempt = next_number(numbers, leaf.path)
    own = _own(leaf, None, leaf.begin)
    return replace(own, step_base=member.begin, role="merge", theirs=member.lane.head, keep_item=None)


def next_attempt(leaf: Leaf, decision: Retry, numbers: Numbers) -> Ready:
    """Return the retry that `decision` describes."""
    is_reset = decision.worktree == "reset"
    is_other = decision.agent is not None and decision.agent != leaf.agent
    is_escalated = is_other or (is_reset and decision.agent is not None)
    is_gate = leaf.mode in {"gate", "approve"}
    leaf.attempt = next_number(numbers, leaf.path)
    leaf.agent = None if is_gate else decision.agent or leaf.agent
    return replace(
        _own(leaf, leaf.agent, leaf.begin if is_reset else leaf.left, leaf.case),
        entry="escalate" if is_escalated else "same",
        session="policy" if is_gate else decision.session or ("fresh" if is_other or is_reset else "resume"),
        prompt=decision.prompt,
    )


def restarted_attempt(leaf: Leaf, numbers: Numbers) -> Ready:
    """Return a new attempt of a step whose failure was final: from its first tree, with the failure in the prompt."""
    leaf.agent = leaf.parent.override or leaf.declared
    ready = next_attempt(leaf, Retry(worktree="reset"), numbers)
    began = leaf.parent.begin if leaf.role == "gate" else leaf.begin
    return replace(ready, step_base=began, entry="resume", role=leaf.role)


def check_again(leaf: Leaf, numbers: Numbers) -> Ready:
    """Return an attempt that runs only the gates, on what the last attempt left, in which they could not run."""
    leaf.attempt = next_number(numbers, leaf.path)
    return replace(_own(leaf, None, leaf.left), entry="recheck")


def gates_part(ready: Ready, commit: str) -> Ready:
    """Return the second part of an attempt: its gates, on the files that its agent left at `commit`."""
    return replace(
        ready, agent=None, base=commit, entry="gates", session="policy", prompt=None, failure=None, failed=None
    )


def begin_replan(leaf: Leaf, decision: Replan, numbers: Numbers) -> Ready:
    """Start a replan: another agent plans, the step's own agent does the items, and the step's own gates check.

    The parts have their own paths (`impl--replan::plan`, `impl--replan::item[slug]`) and attempt numbers. No step name
    or slug contains `--`. If a part fails, the step's attempt fails.
    """
    leaf.attempt = next_number(numbers, leaf.path)
    base = leaf.left if decision.worktree == "keep" else leaf.begin
    leaf.replanning = Replanning(base)
    path = _part(leaf, "plan")
    return replace(
        _own(leaf, decision.agent, base, leaf.case),
        path=path,
        attempt=next_number(numbers, path),
        mode="plan",
        step_base=base,
        entry="replan",
        session=decision.session or "fresh",
        prompt=decision.prompt,
        role="replan-plan",
    )


def next_part(leaf: Leaf, replanning: Replanning, numbers: Numbers) -> Ready:
    """Return the next item of a replan, or the check after all items have passed."""
    if replanning.index == len(replanning.plan):
        return _check(leaf, replanning)
    item = replanning.plan[replanning.index]
    path = _part(leaf, "item").item(item.slug)
    return replace(
        _own(leaf, leaf.agent, replanning.base),
        path=path,
        attempt=next_number(numbers, path),
        step_base=replanning.base,
        entry="replan",
        session="fresh",
        items=(*leaf.items, item),
        role="replan-item",
        keep_item=item if item.files or leaf.item is None else leaf.item,
    )


def _check(leaf: Leaf, replanning: Replanning) -> Ready:
    return replace(_own(leaf, None, replanning.base), mode="gate", entry="replan", role="replan-check")


def _part(leaf: Leaf, name: str) -> StepPath:
    return StepPath((*leaf.path.names[:-1], f"{leaf.step.name}{REPLAN}", name), leaf.path.items)
