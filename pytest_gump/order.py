"""Order and AttemptResult: the two records that controller and executor exchange.

Both hold frozen dataclasses of built-in types only. `to_wire` and `from_wire` turn them into plain dicts and back:
they cross execnet, go into the ledger and into the messages of snapshot commits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pytest_gump.agents.base import SessionRef  # noqa: TC001
from pytest_gump.agents.usage import NOTHING_USED, Usage
from pytest_gump.gates.base import GateResult, PlanItem, Verdict
from pytest_gump.system import plain_data
from pytest_gump.system.git.changes import ChangedFile  # noqa: TC001
from pytest_gump.workflow.model import GateSpec  # noqa: TC001

__all__ = [
    "AttemptResult",
    "ContextPart",
    "Limits",
    "Mode",
    "Order",
    "Outcome",
    "PlanItem",
    "Section",
    "Timings",
    "ToolUse",
    "Verdict",
    "from_wire",
    "to_wire",
]


class Outcome(StrEnum):
    """How an attempt, or a step, ended."""

    PASSED = "passed"
    GATE_FAILED = "gate_failed"
    REVIEW_FAILED = "review_failed"
    OUT_OF_BOUNDS = "out_of_bounds"
    GATE_ERROR = "gate_error"
    GUARD = "guard"
    AGENT_ERROR = "agent_error"
    OUTPUT_INVALID = "output_invalid"
    QUOTA = "quota"
    NO_PROGRESS = "no_progress"
    CONFLICT = "conflict"
    NO_CHANGE = "no_change"
    BUDGET = "budget"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


Mode = Literal["diff", "plan", "artifact", "review", "gate", "merge"]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the prompt, with its heading."""

    title: str
    text: str
    key: str | None = None
    """What identity and cassettes hash in place of the text, where that differs from run to run."""


@dataclass(frozen=True, slots=True)
class ContextPart:
    """A `context:` entry that only the executor can read; `file` is already filled from the templates."""

    file: str | None = None
    bash: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Guards of one attempt; None = no limit."""

    max_turns: int | None = None
    max_budget: float | None = None
    """USD; already the smallest of the guard, and what step, enclosing groups and run have left."""
    max_tokens: int | None = None
    max_time_s: float | None = None
    silence_s: float | None = None
    no_write: bool = False
    budget_scope: Literal["guard", "step", "run"] = "guard"
    """Whose money `max_budget` is: decides between the outcomes `guard` and `budget`."""
    budget_spent: float = 0.0
    """USD that earlier attempts spent of that budget; the workflow's limit is this plus `max_budget`."""
    time_scope: Literal["guard", "run"] = "guard"
    """Whose limit `max_time_s` is."""
    time_spent_s: float = 0.0
    """Seconds already spent of that time; the workflow's limit is this plus `max_time_s`."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Counts over the tool calls of an attempt, as far as the CLI shows them."""

    failed: int = 0
    """Calls that ended with an error."""
    repeated: int = 0
    """Calls that repeat the call before: the same tool with the same file or command."""
    first_write_s: float | None = None
    """Seconds from the start of the agent to its first call of a tool that writes a file of the project."""

    def __add__(self, later: ToolUse) -> ToolUse:
        first = later.first_write_s if self.first_write_s is None else self.first_write_s
        return ToolUse(self.failed + later.failed, self.repeated + later.repeated, first)


@dataclass(frozen=True, slots=True)
class Made:
    """What an attempt was made for: kept with its result, which may be all that is left of it."""

    mode: Mode
    entry: str
    """Why it was made: `first`, `same`, `escalate`, ..."""
    base: str
    step_base: str
    slot: str
    identity: dict[str, str] = field(default_factory=dict)
    """What the result depends on (`engine.run.fingerprint`)."""

    def started(self, attempt: Order | AttemptResult) -> dict[str, Any]:
        """Fields of the ledger's `attempt_started`, but for the attempt's number in the run."""
        return {"step": attempt.step, "attempt": attempt.attempt, "agent": attempt.agent, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Order:
    """All that one attempt needs."""

    run_id: str
    step: str
    """`build::impl[item-2]`."""
    attempt: int
    """From 1; never starts over."""
    mode: Mode
    agent: str | None
    """None for a gate-only step."""
    base: str
    """Commit that the worktree is set to before the attempt."""
    step_base: str
    """Commit at which the step began: what `touched`, the blast radius and the diff compare with."""
    run_base: str
    slot: str
    """Name of the worktree slot; a session can be resumed only in its own slot."""
    head: tuple[Section, ...] = ()
    """Prompt sections before the additional context."""
    context: tuple[ContextPart, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """Gate commands of the run's base: (compile | test | lint | coverage, shell text)."""
    limits: Limits = Limits()
    blast_radius: Literal["enforce", "warn", "off"] = "off"
    must_change: bool = False
    """The attempt fails if its tree equals the step's base, unless the agent gives a reason."""
    no_change: str = ""
    """Why nothing had to change, from the attempt whose gates run again."""
    item: PlanItem | None = None
    theirs: str | None = None
    """For a merge: the commit of the member that goes into `base`; both come from `step_base`."""
    session: SessionRef | None = None
    fork: bool = False
    """Begin with a copy of `session`, which stays as it is."""
    standing: str = ""
    """What the conversation of `session` ended with: for a fresh one, should it be lost."""
    known_tests: int | None = None
    """Number of tests collected on `step_base`; None if no gate counted them."""
    known_skipped: int | None = None
    """How many of them are skipped or expected to fail; None if no gate counted them."""
    setup: tuple[str, ...] = ()
    setup_only: bool = False
    """Preflight: no agent; run the gates on the untouched base and never snapshot."""
    entry: str = "first"
    identity: dict[str, str] = field(default_factory=dict)

    @property
    def made(self) -> Made:
        return Made(self.mode, self.entry, self.base, self.step_base, self.slot, self.identity)


@dataclass(frozen=True, slots=True)
class Timings:
    started: float
    """Seconds since the epoch."""
    total_s: float
    agent_s: float = 0.0
    gates_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """All that came out of one attempt."""

    step: str
    attempt: int
    outcome: Outcome
    reason: str
    """One line that is enough to understand the failure; empty when passed."""
    agent: str | None
    timings: Timings
    model: str | None = None
    usage: Usage = Usage()
    tool_use: ToolUse = ToolUse()
    gates: tuple[GateResult, ...] = ()
    guard: str | None = None
    """Name of the guard that stopped the agent."""
    session: SessionRef | None = None
    session_lost: bool = False
    """The session that it was to resume was gone, so that a fresh one did the work."""
    snapshot: str | None = None
    """Commit of what the attempt left, on top of the order's base; of a merge the commit where the group stands.

    None where no agent ran, or what it left could not be kept.
    """
    tree: str | None = None
    changed: tuple[ChangedFile, ...] = ()
    """Since the step began."""
    plan: tuple[PlanItem, ...] | None = None
    verdict: Verdict | None = None
    artifact: str | None = None
    message: str = ""
    """The agent's final answer, bounded."""
    no_change: str = ""
    """Why no file had to change, in the words of the agent: one line, bounded. Only if the tree did not change."""
    gate_config: tuple[str, ...] = ()
    """Changed files that gates read (pytest configuration, Makefile, CI files): always named in the report."""
    named_changes: tuple[str, ...] = ()
    """Lines on changes that no gate forbids and that a person should look at; always shown in the report."""
    notes: tuple[str, ...] = ()
    final: bool = False
    """No other attempt would do better: none is made."""
    resets_at: float | None = None
    """Of a `quota`: when the limit is over, in seconds since the epoch, as far as the CLI says."""
    made: Made | None = None
    scratch: str | None = None
    """Folder with prompt.md, stream.ndjson, stderr.txt, diff.patch, gates/; the controller moves it into the run."""

    @classmethod
    def not_made(
        cls, order: Order, outcome: Outcome, reason: str, *,
        started: float, usage: Usage = NOTHING_USED, final: bool = False,
    ) -> AttemptResult:  # fmt: skip
        """The result of an order that was not carried out, or of which only `usage` is known."""
        timings = Timings(started=started, total_s=0.0)
        return cls(order.step, order.attempt, outcome, reason, order.agent, timings, usage=usage, final=final)

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def never_started(self) -> bool:
        """True if an agent should have run and did not: setup failed, for example, or the budget was spent."""
        is_lost = self.outcome in {Outcome.CRASHED, Outcome.CANCELLED}  # nobody knows
        has_worked = self.snapshot is not None or self.timings.agent_s > 0 or self.usage.turns > 0
        return self.agent is not None and not is_lost and not has_worked


T = TypeVar("T", Order, AttemptResult)


def to_wire(record: Order | AttemptResult) -> dict[str, Any]:
    """Plain dicts, lists, strings and numbers, all the way down."""
    wire: dict[str, Any] = plain_data.dump(record)
    return wire


def from_wire(kind: type[T], wire: dict[str, Any]) -> T:
    """Read what `to_wire` wrote.

    Raises:
        ValueError: the dict was not written by `to_wire` of this version.
    """
    return plain_data.load(kind, wire)
