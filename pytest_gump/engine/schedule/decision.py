"""What may follow a failed attempt. `Retry` and `Stop` are public: a `pytest_gump_retry` hook answers with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

FailureSource = Literal["gate_fail", "guard_fail", "review_fail"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as policies and hooks see it."""

    attempt: int
    outcome: str
    """A value of the outcome table: `gate_failed`, `guard`, `agent_error`, ..."""
    source: FailureSource
    reason: str = ""
    agent: str | None = None
    gate: str | None = None
    """Name of the first failing gate, without argument."""
    failing: tuple[str, ...] = ()
    """Labels of all failing gates; `no_change` where that is what failed."""
    guard: str | None = None
    tree: str | None = None
    """Git tree that the attempt left."""
    final: bool = False
    """No other attempt would do better: limits are taken as used up."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the step again. None keeps what the failed attempt had."""

    agent: str | None = None
    session: Literal["fresh", "resume"] | None = None
    """None: resumed when agent and worktree stay, else fresh."""
    worktree: Literal["keep", "reset"] = "keep"
    """`keep`: as the failed attempt left it; `reset`: as it was when the step began."""
    prompt: str | None = None
    """Replaces the step's own prompt."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up: the failure is final."""

    reason: str = ""
    outcome: str | None = None
    """Replaces the outcome of the step (`no_progress`); None keeps that of the last attempt."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Jump back to an earlier sibling, or to the step itself."""

    step: str


@dataclass(frozen=True, slots=True)
class Replan:
    """Let another agent split the step's work into items, which the step's own agent then does."""

    agent: str
    session: Literal["fresh", "resume"] | None = None
    worktree: Literal["keep", "reset"] = "reset"
    prompt: str | None = None


Decision = Retry | Stop | Restart | Replan
_KINDS: Final[dict[str, type[Decision]]] = {kind.__name__.lower(): kind for kind in (Retry, Stop, Restart, Replan)}


def to_fields(scope: object, decision: Decision) -> dict[str, Any]:
    """The decision about a step or group as the ledger holds it."""
    return {"scope": str(scope), "kind": type(decision).__name__.lower(), **asdict(decision)}


def from_fields(fields: Mapping[str, Any]) -> Decision:
    """Read what `to_fields` returned.

    Raises:
        KeyError, TypeError: it was something else.
    """
    return _KINDS[fields["kind"]](**{name: value for name, value in fields.items() if name not in {"scope", "kind"}})
