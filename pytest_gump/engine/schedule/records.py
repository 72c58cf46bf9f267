"""What a Schedule takes and gives: Ready, Done, Settled, LeafState."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_gump.engine.schedule.decision import Decision, Failure
from pytest_gump.workflow.model import Step
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from pytest_gump.order import Mode, PlanItem

Decide = Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]
"""Called for a failed step or group with the failures that count, newest last, and what the workflow's own policy
says; returns what to do. Replaying a run, it returns what was recorded."""

EntryKind = Literal["first", "same", "escalate", "replan", "restart", "group", "resume", "recheck"]
Role = Literal["step", "replan-plan", "replan-item", "replan-check", "merge", "gate"]
Result = Literal["passed", "retried", "escalated", "failed", "again", "waited", "failover"]
Status = Literal["pending", "running", "passed", "failed", "skipped"]


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
    feedback: tuple[Failure, ...] = ()
    """What the prompt must tell."""
    restarted_by: StepPath | None = None
    """Whose failure `feedback` is, when not this step's own."""
    items: tuple[PlanItem, ...] = ()
    """Enclosing plan items, outermost first."""
    role: Role = "step"
    keep_item: PlanItem | None = None
    """The plan item whose `files` bound the change: the innermost one; for a part of a replan that lists no files,
    that of the step."""
    theirs: str | None = None
    """For a merge: the tree of the member. `base` is the tree it goes into, `step_base` that which both began at."""


@dataclass(frozen=True, slots=True)
class Done:
    """How an attempt ended."""

    path: StepPath
    attempt: int
    outcome: str
    agent: str | None = None
    commit: str | None = None
    """Snapshot: where the tree stands after it; ignored for steps that may not write."""
    tree: str | None = None
    plan: tuple[PlanItem, ...] | None = None
    failure: Failure | None = None
    has_work: bool = False
    """The gates could not check the work of an agent: they can run again without the agent."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a finished attempt led to.

    `again`: the attempt failed, but its step will be entered anew (restart, new pass of a group), or it was part of
    a replan and its step goes on, or others of a parallel group have not ended and a group above may go on then.
    `failed` is final. `waited` and `failover`: the agent's account was at a limit, and the attempt is made once more.
    """

    verdict: Result
    decisions: tuple[tuple[StepPath, Decision], ...] = ()
    """Innermost first: the step, then each group that was asked."""
    outcome: str = "passed"
    reason: str = ""
    skipped: tuple[StepPath, ...] = ()
    """Set when the run ended here: the steps that will never run."""
    note: str = ""
    step: StepPath | None = None
    """The step that `decisions[0]` is about, when the attempt was part of its replan."""
    failed: tuple[StepPath, ...] = ()
    """Other steps whose failure is final now, after all: their own attempts were `again`."""


@dataclass(frozen=True, slots=True)
class LeafState:
    path: StepPath
    status: Status
    attempts: int
    template: bool = False
    """A `foreach` whose plan is not known yet: the path ends in `[*]`."""
