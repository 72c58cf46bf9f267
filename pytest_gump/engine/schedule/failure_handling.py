"""Passes a failure from a step to its groups until one of them decides what follows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.schedule.decision import Failure, Replan, Restart, Stop
from pytest_gump.engine.schedule.nodes import FailureNotice, Group, groups_above, restart_target
from pytest_gump.engine.schedule.records import Settled
from pytest_gump.engine.schedule.retry import answer, bind

if TYPE_CHECKING:
    from pytest_gump.engine.schedule.decision import Decision
    from pytest_gump.engine.schedule.nodes import Leaf, Node
    from pytest_gump.engine.schedule.records import Decide, Done, Ready, Result
    from pytest_gump.workflow.path import StepPath

NEVER_RETRIED: Final = frozenset({"budget", "crashed"})
"""Final without asking any policy; `crashed` only after its one repeat."""


@dataclass(slots=True)
class Log:
    """What was decided after one attempt, innermost first."""

    decisions: list[tuple[StepPath, Decision]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def note(self) -> str:
        return "; ".join(self.notes)


@dataclass(slots=True)
class FailureCase:
    leaf: Leaf
    notice: FailureNotice
    """The failure as its own attempt had it."""
    failure: Failure
    """The same with the attempt number of the step: a part of a replan has numbers of its own."""
    compare_trees: bool
    is_final: bool
    """No policy is asked, neither the step's own nor a group's."""
    has_work: bool
    """As in `Done`."""
    outcome: str
    """What the step that failed ends with, if nobody goes on."""

    @classmethod
    def about(cls, leaf: Leaf, ready: Ready, done: Done) -> FailureCase:
        failure = done.failure or Failure(done.attempt, done.outcome, "gate_fail")
        failure = replace(failure, agent=failure.agent or ready.agent, tree=failure.tree or done.tree)
        return cls(
            leaf,
            FailureNotice(ready.path, failure),
            replace(failure, attempt=leaf.attempt),
            compare_trees=_may_write(leaf, ready),
            is_final=done.outcome in NEVER_RETRIED,
            has_work=done.has_work,
            outcome=done.outcome,
        )

    @property
    def is_hopeless(self) -> bool:
        """No group above can go on after it."""
        return self.is_final or not any(group.policy is not None for group in groups_above(self.leaf))

    def ask(self, node: Node, decide: Decide, log: Log, *, attempt: int | None = None) -> Decision:
        """Count the failure for the step or group, and decide: its own policy, then the hook, within the limits."""
        failure = self.failure if attempt is None else replace(self.failure, attempt=attempt)
        own = answer(node.policy, node.tally, failure, compare_trees=self.compare_trees)
        wanted = decide(node.step, node.path, tuple(node.tally.failures), own.decision)
        decision, note = bind(own, wanted)
        _check(node, decision)
        log.decisions.append((node.path, decision))
        if note:
            log.notes.append(note)
        if isinstance(decision, Stop) and decision.outcome:
            self.outcome = decision.outcome
        return decision

    def settled(self, verdict: Result, done: Done, log: Log) -> Settled:
        stops = [decision for _, decision in log.decisions if isinstance(decision, Stop) and verdict == "failed"]
        return Settled(
            verdict,
            tuple(log.decisions),
            outcome=next((stop.outcome for stop in stops if stop.outcome), done.outcome),
            reason=next((stop.reason for stop in stops if stop.reason), self.failure.reason),
            note=log.note,
        )


def where_left(leaf: Leaf, ready: Ready, done: Done) -> str:
    """Say where `same` goes on: a change by a step that may not write was rolled back."""
    is_rolled_back = done.failure is not None and done.failure.guard == "no_write"
    return done.commit or ready.base if _may_write(leaf, ready) and not is_rolled_back else ready.base


def _may_write(leaf: Leaf, ready: Ready) -> bool:
    return leaf.mode == "diff" and ready.role != "replan-plan"


def _check(node: Node, decision: Decision) -> None:
    if isinstance(decision, Restart):
        restart_target(node, decision.step)
    if isinstance(decision, Replan) and (isinstance(node, Group) or node.mode == "gate"):
        raise ValueError(f"{node.path} cannot be replanned: it has no agent of its own")
