"""Rules for the branches, strategies and restarts of `on_failure`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_gump.text import quoted
from pytest_gump.workflow.path import CONTEXT
from pytest_gump.workflow.reading.located import walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_gump.workflow.model import Step
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import PlacedPolicy, PlacedStep, PlacedWorkflow, Surroundings

_GROUPS: Final = {"group": "a group", "call": "a call"}
_WITHOUT_AGENT: Final = {"gate": "a gate-only step", "approve": "an approval step"}


def check_failures(workflow: PlacedWorkflow, around: Surroundings) -> None:
    _check_siblings(workflow.steps, None, around)
    for step in workflow.walk():
        if step.children:
            _check_siblings(step.children, step, around)
        _check_branches(step)
        for policy in step.policies:
            _check_entries(step, policy, around)


def _check_branches(step: PlacedStep) -> None:
    """Report branches for failures that the step cannot have."""
    failure, fields = step.step.on_failure, step.failure
    if failure is None or fields is None or step.kind == "unclear":
        return
    below = [*_leaves((step.step,))]
    if failure.review_fail and not any(map(_has_verdict, (step.step, *below))):
        hint = "only a step with 'output: review' or with a validator has a verdict"
        fields.refuse_key("review_fail", "'review_fail' has no effect here", hint)
    if failure.guard_fail and not any(leaf.kind == "agent" for leaf in below):
        fields.refuse_key("guard_fail", "'guard_fail' has no effect here", "there is no agent to stop")


def _has_verdict(step: Step) -> bool:
    return step.output == "review" or step.approve is not None or step.hitl is not None or bool(step.validators)


def _leaves(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield from _leaves(step.steps) if step.steps else (step,)


def _check_entries(step: PlacedStep, policy: PlacedPolicy, around: Surroundings) -> None:
    add, output = around.problems.add, step.step.output
    for kind, node in policy.kinds:
        if step.kind in _WITHOUT_AGENT and kind != "same":
            add(node.position, f"'{kind}' is not allowed on {_WITHOUT_AGENT[step.kind]}, which has no agent")
        elif step.kind in _GROUPS and kind == "replan":
            add(node.position, f"'replan' is not allowed on {_GROUPS[step.kind]}", "put it on the agent steps below")
        elif step.kind == "agent" and kind == "replan" and output != "diff":
            hint = "only a step with 'output: diff' can be split"
            add(node.position, f"'replan' is not allowed on a step with 'output: {output}'", hint)
    if what := {**_GROUPS, **_WITHOUT_AGENT}.get(step.kind):
        for prompt in policy.prompts:
            add(prompt.position, f"'prompt' has no effect in the strategy of {what}")
    for agent, node in policy.resumed:
        others = (own for own in step.step.first_agents if around.have_different_clis(own, agent))
        if (own := next(others, None)) is not None:
            hint = "only the CLI that started a conversation can resume it"
            add(node.position, f"{agent} cannot resume a conversation of {own}", hint)


def _check_siblings(siblings: Sequence[PlacedStep], group: PlacedStep | None, around: Surroundings) -> None:
    """Check every `restart_from` among siblings."""
    order: dict[str, int] = {}
    for number, step in enumerate(siblings):
        if CONTEXT not in step.step.name:
            order.setdefault(step.step.name, number)
    edges = _edges(siblings)
    in_parallel = group is not None and group.step.parallel and group.step.foreach is None
    for step in siblings:
        if around.problems.full:
            return
        for policy in step.policies:
            target = policy.policy.restart_from
            if target is None:
                continue
            problem = _restart_problem(step, target, order, edges, around, in_parallel=in_parallel)
            if problem is not None:
                policy.fields.refuse_value("restart_from", *problem)


def _edges(siblings: Sequence[PlacedStep]) -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    for step in siblings:
        targets = [policy.policy.restart_from for policy in step.policies]
        edges.setdefault(step.step.name, []).extend(target for target in targets if target is not None)
    return edges


def _restart_problem(
    step: PlacedStep,
    target: str,
    order: dict[str, int],
    edges: dict[str, list[str]],
    around: Surroundings,
    *,
    in_parallel: bool,
) -> Mistake | None:
    name = step.step.name
    if target == name:
        return None
    if target not in order and any(target == below.step.name for below in walk(step.children)):
        what = f"'restart_from' names {quoted(target)}, a step inside {quoted(name)}"
        return what, "a group is always retried from its first step: leave 'restart_from' out"
    if target not in order:
        hint = around.problems.suggest(target, [known for known in order if known], label="siblings")
        return f"'restart_from' names {quoted(target)}, which is not a sibling of {quoted(name)}", hint
    if in_parallel:
        hint = "move one of them out of the parallel group"
        return f"'restart_from' names {quoted(target)}, which runs at the same time", hint
    if order[target] < order.get(name, 0):
        return None
    chain = _restart_chain(target, name, edges)
    if chain:
        shown = (name, *chain) if len(chain) < 8 else (name, *chain[:3], "...", *chain[-2:])
        return f"'restart_from' forms a cycle: {' -> '.join(shown)}", "name an earlier step"
    return f"'restart_from' names {quoted(target)}, which comes later", "name an earlier step"


def _restart_chain(start: str, goal: str, edges: dict[str, list[str]]) -> list[str]:
    """Return the shortest chain of restarts from one step to another; empty if there is none."""
    came_from: dict[str, str | None] = {start: None}
    queue = [start]
    for current in queue:
        for following in edges.get(current, ()):
            if following not in came_from:
                came_from[following] = current
                queue.append(following)
    if goal not in came_from:
        return []
    chain: list[str] = []
    at: str | None = goal
    while at is not None:
        chain.append(at)
        at = came_from[at]
    return chain[::-1]
