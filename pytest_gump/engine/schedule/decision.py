"""Decisions after a failed attempt. `Retry` and `Stop` are public: a `pytest_gump_retry` hook returns them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_gump.order import Outcome
from pytest_gump.workflow.model import gate_name, validator_name

if TYPE_CHECKING:
    from collections.abc import Mapping

FailureSource = Literal["gate_fail", "guard_fail", "review_fail"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as policies and hooks see it."""

    attempt: int
    outcome: str
    """Value of an `Outcome`: `gate_failed`, `guard`, `agent_error`, ..."""
    source: FailureSource
    reason: str = ""
    agent: str | None = None
    gate: str | None = None
    """Name of the first failing gate, without argument."""
    failing: tuple[str, ...] = ()
    """Labels of all failing gates (of a parallel group: those of all failed members), and `no_change` if an attempt
    failed with that outcome."""
    guard: str | None = None
    tree: str | None = None
    """Git tree after the attempt. Of several failed members of a parallel group: all trees, separated by spaces."""
    final: bool = False
    """True if no other attempt can succeed: the failure is final, even if the policy allows more attempts."""

    @property
    def failing_gates(self) -> frozenset[str]:
        """Names of all failing gates, without argument."""
        return frozenset(gate_name(label) for label in self.failing if label != Outcome.NO_CHANGE)

    @property
    def failing_validators(self) -> frozenset[str]:
        """Names of the validators that did not pass."""
        return frozenset(filter(None, map(validator_name, self.failing)))


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the step again. None keeps the value of the failed attempt."""

    agent: str | None = None
    session: Literal["fresh", "resume"] | None = None
    """None: `resume` if agent and worktree stay the same, otherwise `fresh`."""
    worktree: Literal["keep", "reset"] = "keep"
    """`keep`: the files of the failed attempt; `reset`: the files at the start of the step."""
    prompt: str | None = None
    """Replaces the step's own prompt."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Give up: the failure is final."""

    reason: str = ""
    outcome: str | None = None
    """Replaces the outcome of the step (`no_progress`); None keeps the outcome of the last attempt."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Jump back to an earlier sibling, or to the step itself."""

    step: str


@dataclass(frozen=True, slots=True)
class Replan:
    """Let another agent split the step's work into items, which the step's own agent then carries out."""

    agent: str
    session: Literal["fresh", "resume"] | None = None
    worktree: Literal["keep", "reset"] = "reset"
    prompt: str | None = None


Decision = Retry | Stop | Restart | Replan
_KINDS: Final[dict[str, type[Decision]]] = {kind.__name__.lower(): kind for kind in (Retry, Stop, Restart, Replan)}


def to_fields(scope: object, decision: Decision) -> dict[str, Any]:
    """Return the ledger fields of a decision about a step or group."""
    return {"scope": str(scope), "kind": type(decision).__name__.lower(), **asdict(decision)}


def from_fields(fields: Mapping[str, Any]) -> Decision:
    """Return the decision from the fields that `to_fields` returned.

    Raises:
        KeyError, TypeError: The fields are not a decision.
    """
    return _KINDS[fields["kind"]](**{name: value for name, value in fields.items() if name not in {"scope", "kind"}})
