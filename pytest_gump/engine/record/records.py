"""What a ledger tells of a run, its steps and attempts, and sums over them: money, tokens, turns, time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pytest_gump.agents.usage import Tokens, Usage
from pytest_gump.units import format_usd_sum
from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_gump.engine.record.ledger import Event
    from pytest_gump.order import AttemptResult


NOTHING_TO_MERGE: Final = "nothing to merge"
"""Of a run whose files are those of its base."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over attempts. `cost_usd` adds what is known; `unknown` counts the attempts whose cost is not.

    `presumed_usd` is what those may have cost at most, as far as budgets are to count it.
    """

    attempts: int = 0
    cost_usd: float = 0.0
    estimated: bool = False
    unknown: int = 0
    tokens: Tokens = Tokens()
    turns: int = 0
    tool_calls: int = 0
    context_tokens: int = 0
    """The greatest, not the sum."""
    duration_s: float = 0.0
    presumed_usd: float = 0.0

    @property
    def bound_usd(self) -> float:
        """What budgets count."""
        return self.cost_usd + self.presumed_usd

    @property
    def cost_text(self) -> str:
        return format_usd_sum(self.cost_usd, estimated=self.estimated, has_unknown=self.unknown > 0)

    def plus(self, usage: Usage, duration_s: float, *, unknown: bool, presumed_usd: float = 0.0) -> Total:
        return Total(
            attempts=self.attempts + 1,
            cost_usd=self.cost_usd + (usage.cost_usd or 0.0),
            estimated=self.estimated or usage.is_estimated,
            unknown=self.unknown + unknown,
            tokens=self.tokens + usage.tokens,
            turns=self.turns + usage.turns,
            tool_calls=self.tool_calls + usage.tool_calls,
            context_tokens=max(self.context_tokens, usage.context_tokens),
            duration_s=self.duration_s + duration_s,
            presumed_usd=self.presumed_usd + presumed_usd,
        )


NOTHING: Final = Total()
_CUT: Final = ("crashed", "cancelled")
"""Outcomes by name: lists of runs read no result, and do without the module of orders and results."""


def is_unknown(usage: Usage, outcome: str = "") -> bool:
    """Whether an attempt may have cost something that nobody reported.

    An agent that ended by itself and reported no use cost nothing: it could not log in, for example.
    """
    was_cut = outcome in _CUT
    return usage.cost_usd is None and (was_cut or not usage.is_empty)


@dataclass(slots=True)
class AttemptRecord:
    """One attempt as the ledger tells it."""

    number: int
    step: str
    attempt: int
    mode: str
    agent: str | None
    entry: str
    started: float
    step_base: str = ""
    """Commit at which the step began."""
    folder: str | None = None
    verdict: str = ""
    """passed, retried, escalated, again (an enclosing step goes on), failed; waited or failover for one that is made
    once more because the agent's account was at a limit; empty while undecided."""
    until: float | None = None
    """Of one that waited: not before then is it made once more."""
    why: str = ""
    """What was decided after it, and for which reason."""
    scope: str = ""
    """The step or group that decided in the end. If it is a group, the run continues there."""
    decided: str = ""
    """Kind of the last decision about the step: retry, restart, replan or stop."""
    session_resumed: bool = False
    reused: bool = False
    """Made and paid for in another run: counts here for nothing."""
    superseded: bool = False
    """Its result does not hold any more: the run was resumed, and its step runs again. Paid for all the same."""
    usage: Usage | None = None
    """None while it runs."""
    duration_s: float = 0.0
    has_unknown_cost: bool = False
    presumed_usd: float = 0.0
    """What it counts as under a budget, if its cost is unknown."""
    _wire: Event | None = field(default=None, init=False, repr=False)
    _result: AttemptResult | None = field(default=None, init=False, repr=False)

    @property
    def is_retried(self) -> bool:
        """Whether it failed and another attempt followed: of the same step, or of another one after a restart."""
        is_group = self.verdict == "again" and self.decided in {"retry", "restart"}
        return is_group or self.verdict in {"retried", "escalated"}

    @property
    def is_repeated(self) -> bool:
        """True if it is made once more under its number because of a limit."""
        return self.verdict in {"waited", "failover"}

    @property
    def counts(self) -> bool:
        """True if its result holds and is no limit: other attempts may build on it."""
        return not self.superseded and not self.is_repeated

    @property
    def result(self) -> AttemptResult | None:
        """None while it runs, and for ever if the run was killed in it. Read from the ledger when first asked for."""
        if self._result is None and self._wire is not None:
            from pytest_gump.order import AttemptResult, from_wire

            self._result = from_wire(AttemptResult, self._wire)
        return self._result

    def set_result(self, result: AttemptResult) -> None:
        """Set the result of an attempt that has just ended, so that nobody reads it from the ledger."""
        self._result = result

    def finish(self, wire: Event) -> None:
        """Take the result as the ledger holds it; only what sums need is read now."""
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
    """Figures of the attempts of a step or a run."""

    __slots__ = ()
    attempts: list[AttemptRecord]

    @property
    def own(self) -> list[AttemptRecord]:
        """The attempts made in this run, not those that it reused from another one."""
        return [attempt for attempt in self.attempts if not attempt.reused]

    @property
    def total(self) -> Total:
        return add_up(self.own)

    @property
    def retries(self) -> int:
        return sum(attempt.is_retried for attempt in self.own)


@dataclass(slots=True)
class StepRecord(_Attempts):
    path: str
    mode: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    status: str = "running"
    """passed, failed, skipped, running."""
    reason: str = ""
    ended: str = ""
    """What the newest decision about it said it ends with; its last attempt may have ended with something else."""

    @property
    def newest_valid(self) -> AttemptRecord | None:
        """The newest attempt whose result holds, or that runs."""
        return next((attempt for attempt in reversed(self.attempts) if not attempt.superseded), None)

    @property
    def outcome(self) -> str:
        last = self.attempts[-1] if self.attempts else None
        if self.status == "skipped":
            is_cancelled = last is not None and not last.verdict
            return "cancelled" if is_cancelled else "skipped"
        if self.status != "running" and self.ended:
            return self.ended
        return last.result.outcome if last is not None and last.result is not None else "running"


class RunningTotal:
    """A sum over attempts that reads each of them until it has ended, and not again."""

    __slots__ = ("_running", "_sum")

    def __init__(self) -> None:
        self._running: list[AttemptRecord] = []
        self._sum = NOTHING
        """Of those that have ended."""

    def add(self, attempt: AttemptRecord) -> None:
        self._running.append(attempt)

    @property
    def total(self) -> Total:
        self._sum = add_up((attempt for attempt in self._running if attempt.usage is not None), self._sum)
        self._running = [attempt for attempt in self._running if attempt.usage is None]
        return add_up(self._running, self._sum)


@dataclass(slots=True)
class RunRecord(_Attempts):
    """The state of a run: a fold over its ledger."""

    run_id: str = ""
    workflow: str = ""
    spec: str = ""
    base: str = ""
    branch: str = ""
    """Branch with the result, or the full name of a ref while the result is on no branch."""
    branches: set[str] = field(default_factory=set)
    """All branches that the run has made."""
    branches_left: dict[str, str] = field(default_factory=dict)
    """Branches that the run no longer moves, because somebody else moved them or has them checked out: why."""
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
    """running (or interrupted, if its process is gone), passed, failed, cancelled."""
    reason: str = ""
    unchanged: bool = False
    """True if no file differs between branch and base, so there is nothing to merge; set at its end."""
    change: dict[str, int] | None = None
    """Files and lines between base and head; None until the run ends, or where git could not compare them."""
    checkout_changed: tuple[str, ...] = ()
    """What changed in the user's checkout meanwhile, whoever did it."""
    applied: str | None = None
    """Commit that `gump apply` made."""
    discarded: bool = False
    origin: str | None = None
    """The run that results were taken from (`--gump-from`)."""
    options: dict[str, Any] | None = None
    """The full command line of the newest session that resumed the run; None if the header has it."""
    resumed: int = 0
    """How often the run was resumed after it had ended or was killed."""
    reused: frozenset[int] = frozenset()
    """Numbers of the attempts whose results held when the run was last resumed."""
    idle_s: float = 0.0
    is_waiting: bool = False
    """Nothing of the run goes on until some limit is over."""
    last_at: float = 0.0
    waiting_by_step: dict[str, AttemptRecord] = field(default_factory=dict, repr=False)
    """Attempts that wait for a limit."""
    _summed: tuple[int, RunningTotal] = field(
        default_factory=lambda: (0, RunningTotal()), init=False, repr=False, compare=False
    )
    """How many attempts are in the total, and the total."""
    _scoped: tuple[int, dict[StepPath, RunningTotal]] = field(
        default_factory=lambda: (0, {}), init=False, repr=False, compare=False
    )
    """The same for each path that contains attempts."""

    @property
    def total(self) -> Total:
        """Asked several times for each attempt, so that those that have ended are added up once."""
        count, running = self._summed
        for attempt in self._own_from(count):
            running.add(attempt)
        self._summed = len(self.attempts), running
        return running.total

    def total_in(self, scope: StepPath) -> Total:
        """Sum the attempts of a step or a group; asked as often."""
        count, by_scope = self._scoped
        for attempt in self._own_from(count):
            for outer in StepPath.parse(attempt.step).scopes:
                by_scope.setdefault(outer, RunningTotal()).add(attempt)
        self._scoped = len(self.attempts), by_scope
        return by_scope[scope].total if scope in by_scope else NOTHING

    def _own_from(self, count: int) -> Iterator[AttemptRecord]:
        return (attempt for attempt in self.attempts[count:] if not attempt.reused)

    def end_attempt(self, number: int, wire: Event, presumed_usd: float) -> AttemptRecord:
        """Take the result of an attempt as the ledger holds it."""
        attempt = self.attempts[number - 1]
        if attempt.usage is not None:  # a ledger that somebody changed
            self._summed, self._scoped = (0, RunningTotal()), (0, {})
        attempt.finish(wire)
        attempt.presumed_usd = presumed_usd
        return attempt

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
        """Wall-clock time, without the gaps between sessions and without waits of the whole run for a limit."""
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
        """Attempts that are to be made once more when the limit is over."""
        return [] if self.finished is not None else [*self.waiting_by_step.values()]


def results(attempts: Iterable[AttemptRecord]) -> list[AttemptResult]:
    """Of the attempts that have ended."""
    return [attempt.result for attempt in attempts if attempt.result is not None]


def add_up(attempts: Iterable[AttemptRecord], total: Total = NOTHING) -> Total:
    """Add attempts to a total, failed and killed ones too; what one cost that never ended is unknown."""
    for attempt in attempts:
        if attempt.usage is not None:
            unknown, presumed_usd = attempt.has_unknown_cost, attempt.presumed_usd
            total = total.plus(attempt.usage, attempt.duration_s, unknown=unknown, presumed_usd=presumed_usd)
        elif attempt.agent is not None:
            total = replace(total, unknown=total.unknown + 1)
    return total
