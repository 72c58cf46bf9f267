"""Records of a run, its steps and attempts, computed from the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_gump.agents.usage import NOTHING, Tokens, Total, Usage, is_unknown
from pytest_gump.workflow.path import VALIDATE, StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.engine.record.approvals import Approvals, Question
    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.order import AttemptResult, ToolUse


@dataclass(slots=True)
class AttemptRecord:
    """One attempt, as recorded in the ledger."""

    number: int
    step: str
    attempt: int
    mode: str
    agent: str | None
    entry: str
    started: float
    step_base: str = ""
    """Commit at which the step began."""
    slot: str = ""
    """Name of its worktree: `w1`; empty if the ledger does not have it."""
    folder: str | None = None
    verdict: str = ""
    """passed, retried, escalated, again (an enclosing step continues), failed; waited or failover if the attempt is
    repeated because the agent's account reached a limit; awaiting if a person must approve it; approved if a person
    has approved its first part, so that its gates follow; judged while the step's validators run; empty while
    undecided."""
    until: float | None = None
    """Earliest time at which a `waited` attempt is repeated, in seconds since the epoch."""
    why: str = ""
    """The decision after the attempt, with its reason."""
    scope: str = ""
    """The step or group that made the final decision. If it is a group, the run continues there."""
    decided: str = ""
    """Kind of the last decision about the step: retry, restart, replan or stop."""
    session_resumed: bool = False
    reused: bool = False
    """True if another run made the attempt and recorded its cost; it is not counted in this run."""
    approval: Event | None = None
    """The person who approved it (`by`), and when (`at`)."""
    superseded: bool = False
    """True if the run was resumed and the step runs again, so the result is no longer used. The cost still counts."""
    usage: Usage | None = None
    """None while the attempt is running."""
    duration_s: float = 0.0
    has_unknown_cost: bool = False
    presumed_usd: float = 0.0
    """Cost that a budget counts if the real cost is unknown."""
    _wire: Event | None = field(default=None, init=False, repr=False)
    _result: AttemptResult | None = field(default=None, init=False, repr=False)
    _answers: Event | None = field(default=None, init=False, repr=False)
    """What the validators of the attempt found, once all have ended."""

    @property
    def is_retried(self) -> bool:
        """True if it failed and another attempt followed: of the same step, or of another one after a restart."""
        is_group = self.verdict == "again" and self.decided in {"retry", "restart"}
        return is_group or self.verdict in {"retried", "escalated"}

    @property
    def ended_validator(self) -> bool:
        """True if it failed in a validator, and no other attempt followed in it: it had no verdict, or no pass."""
        return self.verdict == "again" and not self.is_retried and VALIDATE in self.step

    @property
    def is_repeated(self) -> bool:
        """True if it is repeated under the same number because of a usage limit."""
        return self.verdict in {"waited", "failover"}

    @property
    def lacks_answers(self) -> bool:
        """True if its validators have not ended, or if one of them gave no verdict."""
        return self.verdict == "judged" or (self._answers or {}).get("outcome") == "gate_error"

    @property
    def counts(self) -> bool:
        """True if later attempts may build on its result: not superseded, repeated, or the first part of an attempt."""
        return not self.superseded and not self.is_repeated and self.verdict != "approved"

    @property
    def result(self) -> AttemptResult | None:
        """The result, parsed on first access; None while the ledger does not have it."""
        if self._result is None and self._wire is not None:
            from pytest_gump.order import AttemptResult, from_wire

            answers = self._answers or {"gates": ()}
            gates = [*self._wire.get("gates", ()), *answers["gates"]]
            self._result = from_wire(AttemptResult, {**self._wire, **answers, "gates": gates})
        return self._result

    @property
    def tool_use(self) -> ToolUse:
        """Statistics of its turns and tool calls, read without the rest of the result."""
        from pytest_gump.order import ToolUse
        from pytest_gump.system import plain_data

        if self._result is not None:
            return self._result.tool_use
        return plain_data.load(ToolUse, (self._wire or {}).get("tool_use", {}))

    def review(self, decided: Event) -> None:
        """Change the result if a person or a validator has rejected it after it was recorded."""
        if (review := decided.get("review")) and self._wire is not None:
            self._wire, self._result = {**self._wire, **review}, None

    def set_result(self, result: AttemptResult) -> None:
        """Set the result of an attempt that has just ended, so that it is not parsed again."""
        self._result = result

    def add_answers(self, answers: Event) -> None:
        """Change the result to what the validators of the attempt found: outcome, reason and results of gates."""
        self._answers = {name: answers[name] for name in ("outcome", "reason", "gates")}
        self._result = None

    def wait_for_answers(self) -> None:
        """Let the validators of the attempt run, perhaps again."""
        self.verdict, self._answers, self._result = "judged", None, None

    def finish(self, wire: Event) -> None:
        """Store the result from the ledger, and read only the fields that sums need."""
        usage = wire["usage"]
        cost_usd = usage["cost_usd"]
        self.usage = Usage(
            tokens=Tokens(**{name: int(count) for name, count in usage["tokens"].items()}),
            cost_usd=None if cost_usd is None else float(cost_usd),
            provenance=usage["provenance"],
            turns=int(usage["turns"]),
            tool_calls=int(usage["tool_calls"]),
            context_tokens=int(usage.get("context_tokens", 0)),
        )
        self.has_unknown_cost = self.agent is not None and is_unknown(self.usage, wire["outcome"])
        self.duration_s = float(wire["timings"]["total_s"])
        self._wire = wire


class _Attempts:
    """Figures for the attempts of a step or a run."""

    __slots__ = ()
    attempts: list[AttemptRecord]

    @property
    def own(self) -> list[AttemptRecord]:
        """The attempts made in this run, without those reused from another run."""
        return [attempt for attempt in self.attempts if not attempt.reused]

    @property
    def total(self) -> Total:
        return add_up(self.own)

    @property
    def tool_use(self) -> ToolUse:
        from pytest_gump.order import ToolUse

        return sum((attempt.tool_use for attempt in self.own), ToolUse())

    @property
    def retries(self) -> int:
        return sum(attempt.is_retried for attempt in self.own)


@dataclass(slots=True)
class StepRecord(_Attempts):
    path: str
    mode: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    status: str = "running"
    """passed, failed, skipped, running, awaiting."""
    reason: str = ""
    ended: str = ""
    """Outcome of the step by the newest decision; its last attempt may have a different outcome."""

    @property
    def newest_valid(self) -> AttemptRecord | None:
        """The newest attempt that is not superseded; it may be running."""
        return next((attempt for attempt in reversed(self.attempts) if not attempt.superseded), None)

    @property
    def agent(self) -> str | None:
        """The agent of the last attempt, the gates of which may have run later as a part of their own."""
        number = self.attempts[-1].attempt if self.attempts else 0
        parts = (part.agent for part in reversed(self.attempts) if part.attempt == number)
        return next((agent for agent in parts if agent is not None), None)

    @property
    def is_question(self) -> bool:
        """True if it waits for a person who approves the work of another step, which waits too."""
        return self.status == "awaiting" and StepPath.parse(self.path).checked is not None

    @property
    def outcome(self) -> str:
        last = self.attempts[-1] if self.attempts else None
        if self.status == "skipped":
            is_cancelled = last is not None and not last.verdict
            return "cancelled" if is_cancelled else "skipped"
        if self.status != "running" and self.ended:
            return self.ended
        if last is not None and last.verdict == "judged":
            return "running"
        return last.result.outcome if last is not None and last.result is not None else "running"


class RunningTotal:
    """A sum over attempts that adds each ended attempt only once."""

    __slots__ = ("_running", "_sum")

    def __init__(self) -> None:
        self._running: list[AttemptRecord] = []
        self._sum = NOTHING
        """Sum of the attempts that have ended."""

    def add(self, attempt: AttemptRecord) -> None:
        self._running.append(attempt)

    @property
    def total(self) -> Total:
        self._sum = add_up((attempt for attempt in self._running if attempt.usage is not None), self._sum)
        self._running = [attempt for attempt in self._running if attempt.usage is None]
        return add_up(self._running, self._sum)


@dataclass(slots=True)
class RunRecord(_Attempts):
    """A run, computed from its ledger."""

    run_id: str = ""
    workflow: str = ""
    spec: str = ""
    base: str = ""
    branch: str = ""
    """Branch with the result, or the full name of a ref while the result is on no branch."""
    branches: set[str] = field(default_factory=set)
    """All branches that the run has created."""
    branches_left: dict[str, str] = field(default_factory=dict)
    """Branches that the run no longer moves, because someone else moved them or checked them out -> reason."""
    head: str = ""
    heads: set[str] = field(default_factory=set)
    """All commits that `head` has pointed to."""
    started: float = 0.0
    pid: int | None = None
    pid_created: float | None = None
    max_budget: float | None = None
    preflight: dict[str, Any] | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    steps: dict[str, StepRecord] = field(default_factory=dict)
    finished: float | None = None
    status: str = "running"
    """running (or interrupted, if its process is gone), passed, failed, cancelled, awaiting."""
    reason: str = ""
    unchanged: bool = False
    """True if no file differs between branch and base, so there is nothing to merge; set when the run ends."""
    change: dict[str, int] | None = None
    """Files and lines changed between base and head; None until the run ends, or if git could not compare them."""
    checkout_changed: tuple[str, ...] = ()
    """Changes in the user's checkout during the run, by anyone."""
    applied: str | None = None
    """Commit that `gump apply` created."""
    discarded: bool = False
    origin: str | None = None
    """The run whose results are reused (`--gump-from`)."""
    options: dict[str, Any] | None = None
    """Command-line options of the newest session that resumed the run; None if only the header has options."""
    resumed: int = 0
    """Number of times that the run was resumed after it had ended or was killed."""
    reused: frozenset[int] = frozenset()
    """Numbers of the attempts whose results were valid when the run was last resumed."""
    idle_s: float = 0.0
    """Time between sessions, and time in which the whole run waits for a usage limit or a person."""
    is_waiting: bool = False
    """True while the whole run waits for a usage limit or a person."""
    last_at: float = 0.0
    waiting_by_step: dict[str, AttemptRecord] = field(default_factory=dict, repr=False)
    """Attempts that wait for a usage limit, by step."""
    waiting_for_person: set[int] = field(default_factory=set, repr=False)
    """Numbers of the attempts that wait for approval in the newest session."""
    _approvals: Approvals | None = field(default=None, init=False, repr=False, compare=False)
    _summed: tuple[int, RunningTotal] = field(
        default_factory=lambda: (0, RunningTotal()), init=False, repr=False, compare=False
    )
    """Number of attempts in the total, and the total."""
    _scoped: tuple[int, dict[StepPath, RunningTotal]] = field(
        default_factory=lambda: (0, {}), init=False, repr=False, compare=False
    )
    """The same for each path that contains attempts."""

    @property
    def total(self) -> Total:
        """Sum of the run's own attempts. Cached, because it is read several times per attempt."""
        count, running = self._summed
        for attempt in self._own_from(count):
            running.add(attempt)
        self._summed = len(self.attempts), running
        return running.total

    def total_in(self, scope: StepPath) -> Total:
        """Return the sum of the attempts of a step or a group; cached like `total`."""
        count, by_scope = self._scoped
        for attempt in self._own_from(count):
            for outer in StepPath.parse(attempt.step).scopes:
                by_scope.setdefault(outer, RunningTotal()).add(attempt)
        self._scoped = len(self.attempts), by_scope
        return by_scope[scope].total if scope in by_scope else NOTHING

    def _own_from(self, count: int) -> Iterator[AttemptRecord]:
        return (attempt for attempt in self.attempts[count:] if not attempt.reused)

    def end_attempt(self, number: int, wire: Event, presumed_usd: float) -> AttemptRecord:
        """Store the result of an attempt from the ledger, and return the attempt."""
        attempt = self.attempts[number - 1]
        if attempt.usage is not None:  # a second result: the ledger was changed by hand
            self._summed, self._scoped = (0, RunningTotal()), (0, {})
        attempt.finish(wire)
        attempt.presumed_usd = presumed_usd
        return attempt

    @property
    def approvals(self) -> Approvals:
        """The attempts that wait for a person, and the answers so far."""
        if self._approvals is None:
            from pytest_gump.engine.record.approvals import Approvals  # most runs have none

            self._approvals = Approvals()
        return self._approvals

    @property
    def open_questions(self) -> list[Question]:
        """The questions about attempts that wait for a person, also those that have an answer already."""
        waiting = [attempt for attempt in self.attempts if attempt.verdict == "awaiting" and not attempt.superseded]
        return [question for each in waiting if (question := self.approvals.questions.get(each.number)) is not None]

    @property
    def unanswered(self) -> list[Question]:
        """The open questions that a person has not answered."""
        return [question for question in self.open_questions if self.approvals.answer_to(question) is None]

    @property
    def has_started(self) -> bool:
        """True if the ledger has its first event."""
        return bool(self.base)

    @property
    def stopped_at_preflight(self) -> bool:
        """True if no step could start because the gates could not run on the base."""
        return self.preflight is not None and self.preflight["reason"] is not None

    @property
    def duration_s(self) -> float:
        """Wall-clock time, without gaps between sessions and without the time when the whole run waits."""
        return max(0.0, (self.finished or self.last_at) - self.started - self.idle_s)

    @property
    def escalations(self) -> int:
        return self._count("escalated")

    @property
    def waits(self) -> int:
        return self._count("waited")

    @property
    def failovers(self) -> int:
        return self._count("failover")

    def _count(self, verdict: str) -> int:
        return sum(attempt.verdict == verdict for attempt in self.own)

    @property
    def waiting(self) -> list[AttemptRecord]:
        """Attempts to repeat when the usage limit is over."""
        return [] if self.finished is not None else [*self.waiting_by_step.values()]


def results(attempts: Iterable[AttemptRecord]) -> list[AttemptResult]:
    """Return the results of the attempts that have ended."""
    return [attempt.result for attempt in attempts if attempt.result is not None]


def add_up(attempts: Iterable[AttemptRecord], total: Total = NOTHING) -> Total:
    """Add attempts to a total, including failed and killed ones. An attempt that did not end has unknown cost."""
    for attempt in attempts:
        if attempt.usage is not None:
            unknown, presumed_usd = attempt.has_unknown_cost, attempt.presumed_usd
            total = total.plus(attempt.usage, attempt.duration_s, unknown=unknown, presumed_usd=presumed_usd)
        elif attempt.agent is not None:
            total = replace(total, unknown=total.unknown + 1)
    return total
