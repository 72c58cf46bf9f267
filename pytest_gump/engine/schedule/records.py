"""Values that a Schedule returns: attempts that may start, settled attempts, and the status of steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_gump.engine.schedule.decision import Decision, Failure, Stop
from pytest_gump.order import Outcome
from pytest_gump.workflow.model import Step
from pytest_gump.workflow.path import VALIDATE, StepPath

if TYPE_CHECKING:
    from pytest_gump.order import AttemptResult, Mode, PlanItem

Decide = Callable[[Step, StepPath, Sequence[Failure], Decision], Decision]
"""Called for a failed step or group with the failures that count, newest last, and the decision of the workflow's own
policy; returns the decision. In a replay of a run, it returns the recorded one."""

EntryKind = Literal["first", "same", "escalate", "replan", "restart", "group", "resume", "recheck", "gates"]
Role = Literal["step", "replan-plan", "replan-item", "replan-check", "merge", "gate"]
AttemptVerdict = Literal[
    "passed", "retried", "escalated", "failed", "again", "waited", "failover", "judged", "awaiting", "approved"
]
StepStatus = Literal["pending", "running", "passed", "failed", "skipped", "awaiting"]


class Checked(NamedTuple):
    """The change that a validator checks."""

    ready: Ready
    """The attempt that made it."""
    commit: str
    """Commit with the files of the attempt."""
    result: AttemptResult


class CallTrees(NamedTuple):
    """The change that `{diff}` means in the `with` of a call, outside of validators."""

    since: str
    """The commit at which the plan item around the call began, or the run."""
    until: str
    """The commit at which the called workflow began."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One attempt that may start now."""

    path: StepPath
    step: Step
    attempt: int
    """From 1; never restarts."""
    agent: str | None
    """None for a gate-only step and for a replan's check."""
    mode: Mode
    base: str
    """Commit at which the attempt starts."""
    step_base: str
    """Commit at which the step began."""
    entry: EntryKind = "first"
    """Reason for this attempt: `restart` or `group` for the first attempt after a restart or in a new pass; `resume`
    for the first attempt of a step that had failed when the run ended; `recheck` if only the gates run again; `gates`
    for the second part of an attempt whose first part a person has approved."""
    session: Literal["policy", "resume", "fresh"] = "policy"
    """`policy`: by the step's `session:`; `resume`: the conversation of the step's previous attempt."""
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
    """The plan item whose `files` limit the change: the innermost one, or the step's item for a part of a replan that
    lists no files."""
    calls: tuple[CallTrees, ...] = ()
    """For each call around the step, outermost first: its `{diff}`."""
    checks: Checked | None = None
    """For a step of a validator: the change to check."""
    theirs: str | None = None
    """For a merge: the member's commit. It is merged into `base`; `step_base` is the common ancestor."""

    @property
    def step_path(self) -> StepPath:
        """Path of the step itself; `path` may be that of a part of its replan, or of the call of a validator."""
        if self.checks is not None and VALIDATE in self.path.name:
            return self.checks.ready.path
        if self.role not in {"replan-plan", "replan-item"}:
            return self.path
        items = self.path.items[:-1] if self.role == "replan-item" else self.path.items
        return StepPath((*self.path.names[:-2], self.step.name), items)


@dataclass(slots=True)
class Settled:
    """The consequences of a finished attempt, filled in by the schedule.

    `again`: the attempt failed, but its step will be entered again (restart, new pass of a group), its step continues
    (part of a replan), or an enclosing group may continue when all members of a parallel group have ended. `failed` is
    final. `waited` and `failover`: the agent's account reached a limit, and the attempt is repeated. `judged`: the
    gates passed, and the validators of the step run next. `awaiting`: a person must approve the work; `approved`: a
    person has approved it, and its gates follow.
    """

    verdict: AttemptVerdict = "passed"
    outcome: str = Outcome.PASSED
    reason: str = ""
    decisions: list[tuple[StepPath, Decision]] = field(default_factory=list)
    """Decisions, innermost first: of the step, then of each enclosing group that decided."""
    notes: list[str] = field(default_factory=list)
    step: StepPath | None = None
    """The step of `decisions[0]`, if the attempt was part of its replan."""
    skipped: tuple[StepPath, ...] = ()
    """Steps that will never run because the run ends with this attempt, or because a plan is empty."""
    skip_reason: str = ""
    """Why they are skipped; empty if the run ends with this attempt."""
    failed: tuple[StepPath, ...] = ()
    """Other steps whose failure has just become final; their own attempts were `again`."""
    validated: Validated | None = None
    """The attempt that is settled now, because this one was the last of its validators."""

    @property
    def settlements(self) -> tuple[Settled, ...]:
        """These consequences, and those of the attempt whose last validator has ended."""
        return (self,) if self.validated is None else (self, self.validated.settled)

    @property
    def stops(self) -> list[Stop]:
        return [decision for _, decision in self.decisions if isinstance(decision, Stop)]

    @property
    def why(self) -> str:
        """The notes, for example on a refused request of a hook, and the reasons for giving up the step."""
        return "; ".join(filter(None, [*self.notes, *(stop.reason for stop in self.stops)]))

    def fail(self, failure: Failure, verdict: AttemptVerdict) -> None:
        """Set verdict, outcome and reason from the failure, or from the decision that made it final."""
        stops = self.stops if verdict == "failed" else []
        self.verdict = verdict
        self.outcome = next((stop.outcome for stop in stops if stop.outcome), failure.outcome)
        self.reason = next((stop.reason for stop in stops if stop.reason), failure.reason)


class Validated(NamedTuple):
    """An attempt whose validators have all ended."""

    ready: Ready
    result: AttemptResult
    """The result with what the validators found."""
    commit: str | None
    settled: Settled


class LeafState(NamedTuple):
    path: StepPath
    status: StepStatus
    attempts: int
    template: bool = False
    """A `foreach` whose plan is not known yet: the path ends in `[*]`."""
    validators: tuple[str, ...] | None = None
    """Names of the validators that the latest attempt waits for, if it waits for any, or for a person after them."""
