"""What a Schedule returns: what may start, what a result led to, and the state of its steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.engine.schedule.decision import Decision, Failure, Stop
from pytest_gump.order import Outcome
from pytest_gump.workflow.model import Step
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.order import Mode, PlanItem

Decide = Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]
"""Called for a failed step or group with the failures that count, newest last, and what the workflow's own policy
says; returns what to do. Replaying a run, it returns what was recorded."""

EntryKind = Literal["first", "same", "escalate", "replan", "restart", "group", "resume", "recheck"]
Role = Literal["step", "replan-plan", "replan-item", "replan-check", "merge", "gate"]
AttemptVerdict = Literal["passed", "retried", "escalated", "failed", "again", "waited", "failover"]
StepStatus = Literal["pending", "running", "passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Ready:
    """One attempt that may start now."""

    path: StepPath
    step: Step
    attempt: int
    """From 1; never starts over, whatever restarts."""
    agent: str | None
    """None for a gate-only step and for a replan's check."""
    mode: Mode
    base: str
    """Commit that the worktree is set to."""
    step_base: str
    """Commit at which the step began."""
    entry: EntryKind = "first"
    """Why this attempt is made: `restart` and `group` for the first one after a jump back or in a new pass, `resume`
    for the first one of a step that had failed when the run ended before, `recheck` if only its gates run again."""
    session: Literal["policy", "resume", "fresh"] = "policy"
    """`policy`: what the step's `session:` says; `resume`: that of the step's previous attempt."""
    prompt: str | None = None
    """Replaces the step's own prompt."""
    failure: Failure | None = None
    """The failure that the prompt describes."""
    failed: StepPath | None = None
    """The step, or part of a replan, that failed: this one, a later one, or one in the same group."""
    items: tuple[PlanItem, ...] = ()
    """Enclosing plan items, outermost first."""
    role: Role = "step"
    keep_item: PlanItem | None = None
    """The plan item whose `files` bound the change: the innermost one; for a part of a replan that lists no files,
    that of the step."""
    theirs: str | None = None
    """For a merge: the tree of the member. `base` is the tree it goes into, `step_base` that which both began at."""


@dataclass(slots=True)
class Settled:
    """What a finished attempt led to; the schedule fills it in while it moves on.

    `again`: the attempt failed, but its step will be entered again (restart, new pass of a group), or it was part of
    a replan and its step continues, or others of a parallel group have not ended and a group above may continue then.
    `failed` is final. `waited` and `failover`: the agent's account was at a limit, and the attempt is repeated.
    """

    verdict: AttemptVerdict = "passed"
    outcome: str = Outcome.PASSED
    reason: str = ""
    decisions: list[tuple[StepPath, Decision]] = field(default_factory=list)
    """Innermost first: the step, then each group that was asked."""
    notes: list[str] = field(default_factory=list)
    step: StepPath | None = None
    """The step that `decisions[0]` is about, when the attempt was part of its replan."""
    skipped: tuple[StepPath, ...] = ()
    """Set when the run ended here: the steps that will never run."""
    failed: tuple[StepPath, ...] = ()
    """Other steps whose failure is final only now: their own attempts were `again`."""

    @property
    def stops(self) -> list[Stop]:
        return [decision for _, decision in self.decisions if isinstance(decision, Stop)]

    @property
    def why(self) -> str:
        """What a hook asked for and was refused, or why the step was given up."""
        return "; ".join(filter(None, [*self.notes, *(stop.reason for stop in self.stops)]))

    def fail(self, failure: Failure, verdict: AttemptVerdict) -> None:
        """Take outcome and reason from the failure, or from the decision that made it final."""
        stops = self.stops if verdict == "failed" else []
        self.verdict = verdict
        self.outcome = next((stop.outcome for stop in stops if stop.outcome), failure.outcome)
        self.reason = next((stop.reason for stop in stops if stop.reason), failure.reason)


class LeafState(NamedTuple):
    path: StepPath
    status: StepStatus
    attempts: int
    template: bool = False
    """A `foreach` whose plan is not known yet: the path ends in `[*]`."""
