"""Order and AttemptResult: the two records that controller and executor exchange.

Both contain only frozen dataclasses and built-in types. `to_wire` and `from_wire` convert them to plain dicts and back,
for messages between processes, the ledger and the messages of snapshot commits.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass, field
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
    "TurnKinds",
    "Verdict",
    "from_wire",
    "to_wire",
]


class Outcome(StrEnum):
    """How an attempt or a step ended."""

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
    AWAITING = "awaiting"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


Mode = Literal["diff", "plan", "artifact", "review", "gate", "merge", "approve"]


def agent_name(agent: str | None, mode: str) -> str:
    """Return the name to show for the agent of an attempt: `approval`, `merge`, or `gate` if it has no agent."""
    return agent or {"approve": "approval", "merge": "merge"}.get(mode, "gate")


Scope = Literal["guard", "step", "call", "run"]
"""Source of a limit."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the prompt with its heading."""

    title: str
    text: str
    key: str | None = None
    """Text that fingerprints and cassettes hash in place of `text`, if that differs from run to run."""


@dataclass(frozen=True, slots=True)
class ContextPart:
    """A `context:` entry. The executor reads files and runs commands; it gets the output of a workflow as text.

    The templates in `file` are already filled in.
    """

    file: str | None = None
    bash: str | None = None
    workflow: str | None = None
    text: str = ""
    """Output of the workflow."""

    @property
    def key(self) -> str:
        """What recordings compare: the definition of the entry, not its content."""
        if self.workflow is not None:
            return f"context workflow: {self.workflow}"
        return f"context file: {self.file}" if self.file else f"context bash: {self.bash}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one attempt. None means no limit."""

    max_turns: int | None = None
    max_budget: float | None = None
    """USD: the smallest of the guard and the remaining budgets of the step, its groups and the run."""
    max_tokens: int | None = None
    max_time_s: float | None = None
    silence_s: float | None = None
    no_write: bool = False
    budget_scope: Scope = "guard"
    """Source of `max_budget`. It decides the outcome: `guard` for the guard, otherwise `budget`."""
    budget_of: str = ""
    """Path of the limited step, group or call if it is not the attempt's own step; `time_of` and `tokens_of` too."""
    budget_spent: float = 0.0
    """USD of that budget that earlier attempts spent. The limit in the workflow is the sum of this and `max_budget`."""
    time_scope: Scope = "guard"
    """Source of `max_time_s`. The outcome is always `guard`."""
    time_of: str = ""
    time_spent_s: float = 0.0
    """Seconds of that limit that are already spent. The limit in the workflow is the sum of this and `max_time_s`."""
    tokens_scope: Scope = "guard"
    """Source of `max_tokens`. It decides the outcome: `guard` for the guard, otherwise `budget`."""
    tokens_of: str = ""
    tokens_spent: int = 0
    """Tokens of that limit that earlier attempts used. The whole limit is the sum of this and `max_tokens`."""


@dataclass(frozen=True, slots=True)
class TurnKinds:
    """Number of turns by what the model did: for each turn, the first of these kinds that applies."""

    write: int = 0
    """It called a tool that writes a file."""
    command: int = 0
    """It ran a command."""
    other: int = 0
    """It called other tools."""
    text: int = 0
    """It called no tool."""

    def __add__(self, later: TurnKinds) -> TurnKinds:
        pairs = zip(astuple(self), astuple(later), strict=True)
        return TurnKinds(*(earlier + added for earlier, added in pairs))


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Statistics of an attempt's turns and tool calls, as far as the CLI reports them.

    Two calls are the same if they have the same tool and the same file or command.
    """

    failed: int = 0
    """Calls that ended with an error."""
    repeated: int = 0
    """Calls that are the same as the call before."""
    first_write_s: float | None = None
    """Seconds from the start of the agent to its first tool call that writes a project file and does not fail."""
    first_write_turn: int | None = None
    """Number of the turn with that call."""
    corrected: int = 0
    """Calls that failed, and the same call succeeded later."""
    failure_loops: int = 0
    """Series of three or more failures of the same call, without another call between them."""
    kinds: TurnKinds = TurnKinds()
    longest_silence_s: float = 0.0
    """Longest time without output of the agent."""

    def __add__(self, later: ToolUse) -> ToolUse:
        """Return the sum over two starts of the agent."""
        first = later if self.first_write_s is None else self
        return ToolUse(
            failed=self.failed + later.failed,
            repeated=self.repeated + later.repeated,
            first_write_s=first.first_write_s,
            first_write_turn=first.first_write_turn,
            corrected=self.corrected + later.corrected,
            failure_loops=self.failure_loops + later.failure_loops,
            kinds=self.kinds + later.kinds,
            longest_silence_s=max(self.longest_silence_s, later.longest_silence_s),
        )


@dataclass(frozen=True, slots=True)
class Made:
    """Facts of an attempt's start. The result has a copy, because after a crash only the result may be left."""

    mode: Mode
    entry: str
    """Reason for the attempt: `first`, `same`, `escalate`, ..."""
    base: str
    step_base: str
    slot: str
    identity: dict[str, str] = field(default_factory=dict)
    """Fingerprint: the inputs of the result (`engine.run.fingerprint`)."""
    side: str = ""

    def started(self, attempt: Order | AttemptResult) -> dict[str, Any]:
        """Fields of the ledger event `attempt_started`, without the number of the attempt in the run."""
        return {"step": attempt.step, "attempt": attempt.attempt, "agent": attempt.agent, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Order:
    """Everything that an executor needs for one attempt."""

    run_id: str
    step: str
    """Path of the step: `build::impl[item-2]`."""
    attempt: int
    """From 1 within the step; numbers are never reused."""
    mode: Mode
    agent: str | None
    """None for a gate-only step."""
    base: str
    """Commit that the worktree is set to before the attempt."""
    step_base: str
    """Commit at the start of the step. `touched`, the blast radius and the diff compare with it."""
    run_base: str
    slot: str
    """Name of the worktree slot. A conversation can be resumed only in its own slot."""
    side: str = ""
    """Name of a side slot: a second worktree, leased for this order only. Empty if no gate needs it."""
    head: tuple[Section, ...] = ()
    """Prompt sections that the controller builds. Project conventions and additional context follow them."""
    context: tuple[ContextPart, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """Gate commands of the run's base: (compile | test | lint | coverage, shell text)."""
    limits: Limits = Limits()
    blast_radius: Literal["enforce", "warn", "off"] = "off"
    must_change: bool = False
    """True if the attempt fails without a change, unless the agent gives a reason."""
    min_items: int = 1
    """Smallest number of items of a plan."""
    item: PlanItem | None = None
    theirs: str | None = None
    """For a merge: the commit to merge into `base`. Both descend from `step_base`."""
    gates_due: bool = False
    """True if the gates do not run now, because a person must approve the work first."""
    agent_part: AttemptResult | None = None
    """Result with the agent's work, if only gates run."""
    session: SessionRef | None = None
    """Conversation that the agent continues; None for a new one."""
    fork: bool = False
    """True if the agent continues a copy of that conversation, which itself stays unchanged."""
    standing: str = ""
    """Description of that conversation with its last message, for the prompt of a new one if the CLI has lost it."""
    known_tests: int | None = None
    """Number of tests collected on `step_base`; None if no gate counted them."""
    known_skipped: int | None = None
    """Number of these that are skipped or expected to fail; None if no gate counted them."""
    setup: tuple[str, ...] = ()
    setup_only: bool = False
    """Preflight: run the gates on the unchanged base, without agent and snapshot."""
    entry: str = "first"
    identity: dict[str, str] = field(default_factory=dict)

    @property
    def made(self) -> Made:
        return Made(self.mode, self.entry, self.base, self.step_base, self.slot, self.identity, self.side)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of all slots of the order."""
        return (self.slot, self.side) if self.side else (self.slot,)


@dataclass(frozen=True, slots=True)
class Timings:
    started: float
    """Seconds since the epoch."""
    total_s: float
    agent_s: float = 0.0
    gates_s: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of one attempt."""

    step: str
    attempt: int
    outcome: Outcome
    reason: str
    """The failure in one line; empty if passed."""
    agent: str | None
    timings: Timings
    model: str | None = None
    usage: Usage = Usage()
    tool_use: ToolUse = ToolUse()
    gates: tuple[GateResult, ...] = ()
    guard: str | None = None
    """Name of the guard that stopped the agent."""
    session: SessionRef | None = None
    """Conversation that later attempts can continue."""
    session_lost: bool = False
    """True if the conversation of the order could not be continued and a new one was started."""
    snapshot: str | None = None
    """Commit with the files of the attempt, on top of the order's base. For a merge, the group's commit after it,
    or the member's own commit after a conflict.

    None if no agent ran, or if its files could not be stored.
    """
    tree: str | None = None
    changed: tuple[ChangedFile, ...] = ()
    """Files changed since the start of the step."""
    plan: tuple[PlanItem, ...] | None = None
    verdict: Verdict | None = None
    artifact: str | None = None
    message: str = ""
    """The agent's last message, truncated."""
    no_change: str = ""
    """The agent's reason for no change, in one truncated line. Empty if a file changed."""
    gate_config: tuple[str, ...] = ()
    """Changed files that gates read (pytest configuration, Makefile, CI files). Always shown in the report."""
    named_changes: tuple[str, ...] = ()
    """Changes that no gate forbids but a person should review, one line each. Always shown in the report."""
    notes: tuple[str, ...] = ()
    gates_due: bool = False
    """True if only the agent's part has run. The gates follow when a person has approved it."""
    final: bool = False
    """True if the step must not be retried, because another attempt would fail in the same way."""
    resets_at: float | None = None
    """For outcome `quota`: end of the limit in seconds since the epoch; None if the CLI does not report it."""
    made: Made | None = None
    scratch: str | None = None
    """Folder with prompt.md, stream.ndjson, stderr.txt, diff.patch and gates/. The controller moves it into the run."""

    @classmethod
    def not_made(
        cls, order: Order, outcome: Outcome, reason: str, *,
        started: float, usage: Usage = NOTHING_USED, final: bool = False,
    ) -> AttemptResult:  # fmt: skip
        """Return the result of an order that was not executed, or of which only `usage` is known."""
        timings = Timings(started=started, total_s=0.0)
        return cls(order.step, order.attempt, outcome, reason, order.agent, timings, usage=usage, final=final)

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

    @property
    def never_started(self) -> bool:
        """True if an agent should have run and did not, for example because setup failed or the budget was spent."""
        is_lost = self.outcome in {Outcome.CRASHED, Outcome.CANCELLED}  # unknown
        has_worked = self.snapshot is not None or self.timings.agent_s > 0 or self.usage.turns > 0
        return self.agent is not None and not is_lost and not has_worked


T = TypeVar("T", Order, AttemptResult)


def to_wire(record: Order | AttemptResult) -> dict[str, Any]:
    """Convert to dicts, lists, strings and numbers."""
    wire: dict[str, Any] = plain_data.dump(record)
    return wire


def from_wire(kind: type[T], wire: dict[str, Any]) -> T:
    """Convert a dict from `to_wire` back to a record.

    Unknown fields are ignored.

    Raises:
        ValueError: A field is missing or has another type.
    """
    return plain_data.load(kind, wire)
