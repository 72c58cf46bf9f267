"""Failures of steps and groups: describe a failure, and decide what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_gump.engine.schedule.decision import Failure, Replan, Restart, Stop
from pytest_gump.engine.schedule.nodes import FailureCase, Group
from pytest_gump.engine.schedule.retry import decide
from pytest_gump.engine.schedule.targets import restart_target
from pytest_gump.order import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.engine.schedule.decision import Decision, FailureSource
    from pytest_gump.engine.schedule.nodes import Leaf, StepNode
    from pytest_gump.engine.schedule.records import Decide, Ready, Settled
    from pytest_gump.order import AttemptResult


def failure_of(result: AttemptResult) -> Failure:
    """Return the failure of an attempt, for policies and hooks."""
    gates = tuple(gate.name for gate in result.gates if gate.status in {"failed", "error"})
    return Failure(
        attempt=result.attempt,
        outcome=result.outcome,
        source=_source(result.outcome),
        reason=result.reason,
        agent=result.agent,
        gate=gates[0].partition(":")[0] if gates else None,
        failing=(str(result.outcome),) if result.outcome is Outcome.NO_CHANGE else gates,
        guard=result.guard,
        tree=result.tree,
        final=result.final,
    )


def _source(outcome: Outcome) -> FailureSource:
    if outcome is Outcome.GUARD:
        return "guard_fail"
    return "review_fail" if outcome is Outcome.REVIEW_FAILED else "gate_fail"


def case_of(leaf: Leaf, ready: Ready, result: AttemptResult) -> FailureCase:
    return FailureCase(
        leaf,
        ready.path,
        failure_of(result),
        compare_trees=_may_write(leaf, ready),
        has_work=ready.entry == "recheck" or any(gate.status == "error" for gate in result.gates),
        outcome=result.outcome,
        items=ready.path.items,
    )


def failure_of_all(cases: Sequence[FailureCase]) -> Failure:
    """Return the failure of a group: the first one in plan order, with the failing gates and the trees of all."""
    first, failures = cases[0].failure, [case.failure for case in cases]
    if len(failures) == 1:
        return first
    trees = [failure.tree for failure in failures if failure.tree is not None]
    return replace(
        first,
        failing=tuple(dict.fromkeys(label for failure in failures for label in failure.failing)),
        tree=" ".join(trees) if len(trees) == len(failures) else None,
        final=any(failure.final for failure in failures),
    )


def ask(cases: Sequence[FailureCase], node: StepNode, attempt: int, hook: Decide, settled: Settled) -> Decision:
    """Count a failure of a step or group, and return the decision of its policy, which the hook may replace.

    A pass of a parallel group can have several failures. They count as one.

    If the policy allows no further attempt, the hook cannot grant one. `attempt` is the number of the failed attempt or
    pass of `node`; the parts of a replan have their own numbers.

    Raises:
        ValueError: The decision cannot be carried out.
    """
    failure = replace(failure_of_all(cases), attempt=attempt)
    own = decide(node.policy, node.tally, failure, compare_trees=all(case.compare_trees for case in cases))
    decision = hook(node.step, node.path, tuple(node.tally.failures), own or Stop())
    if own is None and not isinstance(decision, Stop):
        decision = Stop()
        settled.notes.append("the retry hook requested another attempt, but the step has no attempt left")
    elif node.tally.reason and decision == (own or Stop()):
        settled.notes.append(node.tally.reason)
    _check(node, decision)
    settled.decisions.append((node.path, decision))
    if isinstance(decision, Stop) and decision.outcome:
        cases[0].outcome = decision.outcome
    return decision


def where_left(leaf: Leaf, ready: Ready, result: AttemptResult, commit: str | None) -> str:
    """Return the commit from which `same` continues: the change of a step that must not write was rolled back."""
    is_kept = _may_write(leaf, ready) and result.guard != "no_write"
    return commit or ready.base if is_kept else ready.base


def _may_write(leaf: Leaf, ready: Ready) -> bool:
    return leaf.mode == "diff" and ready.role != "replan-plan"


def _check(node: StepNode, decision: Decision) -> None:
    if isinstance(decision, Restart):
        restart_target(node, decision.step)
    if isinstance(decision, Replan) and (isinstance(node, Group) or node.mode != "diff"):
        raise ValueError(f"{node.path} cannot be replanned: only a step with an agent and 'output: diff' can")
