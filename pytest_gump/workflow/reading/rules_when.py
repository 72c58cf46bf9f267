"""Rules for `when`: each condition can fit a failure of the step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gump.text import quoted
from pytest_gump.units import plural
from pytest_gump.workflow import keys
from pytest_gump.workflow.model import VALIDATE
from pytest_gump.workflow.reading.read_gates import BUILTIN_GATES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_gump.workflow.model import GateSpec, OnFailure, Policy, Step
    from pytest_gump.workflow.problems import Mistake
    from pytest_gump.workflow.reading.located import PlacedPolicy, PlacedStep, PlacedWhen, PlacedWorkflow, Surroundings
    from pytest_gump.workflow.reading.yaml_nodes import ScalarNode


def check_conditions(workflow: PlacedWorkflow, around: Surroundings) -> None:
    for step in workflow.walk():
        for policy in step.policies:
            for placed in policy.whens:
                _check(step, policy, placed, around)


def _check(step: PlacedStep, policy: PlacedPolicy, placed: PlacedWhen, around: Surroundings) -> None:
    when, fields = placed.when, placed.fields
    on_failure = step.step.on_failure
    if on_failure is None:
        return
    for node in placed.gates:
        if problem := _gate_problem(step, policy.policy, node, around):
            around.problems.add(node.position, *problem)
    if when.validate is not None and (problem := _validator_problem(step, policy.policy, when.validate, around)):
        fields.refuse_value("validate", *problem)
    if when.gate and when.validate is not None:
        hint = "validators run only after all gates have passed: write two entries"
        fields.refuse("'gate' and 'validate' never fit the same failure", hint)
    most = most_attempts(on_failure)
    if when.attempt is not None and when.attempt > most:
        what = f"attempt {when.attempt} is never made: {step.title} has at most {plural(most, 'attempt')}"
        fields.refuse_value("attempt", what, _why_so_few(on_failure, policy.policy, when.attempt))


def _gate_problem(step: PlacedStep, policy: Policy, node: ScalarNode, around: Surroundings) -> Mistake | None:
    name = str(node.value).strip()
    own = [*dict.fromkeys(gate.name for gate in _gates(step))]
    if name == VALIDATE:
        return "'gate: validate' names no validator", "write 'validate: NAME'"
    if name not in BUILTIN_GATES and name not in around.gates:
        if name.partition(":")[0].strip() in (*BUILTIN_GATES, *around.gates):
            return f"unknown gate {quoted(name)}", "write its name without the argument"
        return f"unknown gate {quoted(name)}", around.problems.suggest(name, own, label="gates of the step")
    branch = _branch_of(step, policy)
    if branch in ("guard_fail", "review_fail"):
        return f"'gate: {name}' never fits in '{branch}'", "move the entry to 'gate_fail'"
    is_replanned = name == "compile" and any(map(_has_replan, _below(step.step)))
    if name in own or is_replanned:
        return None
    return f"'gate: {name}' never fits: {step.title} has no such gate", f"its gates: {', '.join(own) or 'none'}"


def _validator_problem(step: PlacedStep, policy: Policy, name: str, around: Surroundings) -> Mistake | None:
    own = [gate.argument or "" for gate in _gates(step) if gate.name == VALIDATE]
    if name not in own:
        hint = around.problems.suggest(name, own, label="validators") if own else "it has none in 'gate'"
        return f"'validate: {name}' never fits: {step.title} has no such validator", hint
    branch, on_failure = _branch_of(step, policy), step.step.on_failure
    if branch == "guard_fail" or (branch == "gate_fail" and on_failure is not None and on_failure.review_fail):
        return f"'validate: {name}' never fits in '{branch}'", "move the entry to 'review_fail'"
    return None


def _gates(step: PlacedStep) -> Iterator[GateSpec]:
    """Yield the gates of a step, or of a group and all steps below it, also those of a called workflow."""
    return (gate for below in _below(step.step) for gate in below.gate)


def _below(step: Step) -> Iterator[Step]:
    yield step
    for child in step.steps:
        yield from _below(child)


def _has_replan(step: Step) -> bool:
    """True if the step can be replanned. The items of a replan have the gate `compile`."""
    policies = () if step.on_failure is None else step.on_failure.policies
    return any(entry.kind == "replan" for policy in policies for entry in policy.strategy)


def _branch_of(step: PlacedStep, policy: Policy) -> str:
    on_failure = step.step.on_failure
    return next((key for key in ("guard_fail", "review_fail", "gate_fail") if getattr(on_failure, key) is policy), "")


def most_attempts(on_failure: OnFailure) -> int:
    """Return the highest number of attempts that a step can have after it was entered."""
    if on_failure.flat is not None:
        return _retries(on_failure.flat, first=2) + 1
    return sum(_retries(policy, first=keys.MAX_ATTEMPTS) for policy in on_failure.policies) + 1


def _retries(policy: Policy, *, first: int) -> int:
    """Return how many failures the entries of a policy can answer.

    `first` is the number of the attempt that follows the first of these failures. In a branch, it can be any number:
    the failures before it may have been those of other branches.
    """
    most = policy.retry - 1
    if policy.last is not None and policy.restart_from is None:
        return most
    numbers = sorted(2 if entry.when is None else entry.when.attempt or 2 for entry in policy.strategy[1:])
    answered = 0
    for number in numbers:
        answered += number <= first + answered
    return min(most, answered)


def _why_so_few(on_failure: OnFailure, policy: Policy, attempt: int) -> str | None:
    """Return a hint if `retry` allows the attempt, but the strategy does not reach it."""
    if attempt > sum(each.retry - 1 for each in on_failure.policies) + 1:
        return None
    if policy.restart_from is not None:
        return "'restart_from' answers the failures before it, and begins the count again"
    return "the failures before it need answers too: add an entry without 'when'"
