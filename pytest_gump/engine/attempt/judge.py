"""Decide the outcome of an attempt. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_gump.engine.checks.no_change import describe_no_change
from pytest_gump.order import Outcome
from pytest_gump.text import listed, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.agents.base import Ending
    from pytest_gump.engine.attempt.agent_phase import AgentRun
    from pytest_gump.engine.attempt.handover import Handover
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import Limits

REASON_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Judgement:
    outcome: Outcome
    reason: str = ""
    """One line; empty when passed."""
    guard: str | None = None
    """The guard that stopped the agent."""

    @classmethod
    def failed(cls, outcome: Outcome, reason: str, guard: str | None = None) -> Judgement:
        return cls(outcome, one_line(reason, REASON_CHARS), guard)


PASSED: Final = Judgement(Outcome.PASSED)


def judge_work(
    run: AgentRun, limits: Limits, handover: Handover, *, unwanted: Sequence[str], crossing: str | None
) -> Judgement | None:
    """Check the agent's work; return None if the gates can run.

    `unwanted` are the changed paths in a mode that allows no changes. `crossing` is the reason if bounds were crossed.
    """
    if run.cancelled:
        return Judgement.failed(Outcome.CANCELLED, "interrupted while the agent worked")
    if run.trespass is not None:
        return Judgement.failed(Outcome.OUT_OF_BOUNDS, f"the agent wrote into the user's checkout: {run.trespass}")
    if run.breach is not None:
        scopes = {
            "max_budget": limits.budget_scope, "max_tokens": limits.tokens_scope, "max_time": limits.time_scope,
        }  # fmt: skip
        is_of_attempt = scopes.get(run.breach.guard, "guard") == "guard" and not run.breach.is_shared
        outcome = Outcome.GUARD if is_of_attempt else Outcome.BUDGET
        return Judgement.failed(outcome, run.breach.reason, run.breach.guard)
    if unwanted:
        return Judgement.failed(Outcome.GUARD, f"guard no_write: changed {listed([*unwanted])}", "no_write")
    if run.ending.outcome != "ok":
        outcome = Outcome.QUOTA if run.ending.outcome == "quota" else Outcome.AGENT_ERROR
        return Judgement.failed(outcome, run.ending.reason or "the agent ended with an error and gave no reason")
    if handover.errors:
        return Judgement.failed(Outcome.OUTPUT_INVALID, "; ".join(handover.errors))
    if crossing is not None:
        return Judgement.failed(Outcome.OUT_OF_BOUNDS, crossing)
    if handover.verdict is not None and not handover.verdict.passed:
        return Judgement.failed(Outcome.REVIEW_FAILED, f"review did not pass: {handover.verdict.comment.strip()}")
    return None


def judge_gates(gates: Sequence[GateResult]) -> Judgement:
    """Check the results of the gates. A gate that could not run takes precedence: another agent call would not help."""
    if broken := [gate for gate in gates if gate.status == "error"]:
        return Judgement.failed(Outcome.GATE_ERROR, _summary(broken, "could not run"))
    if failed := [gate for gate in gates if gate.status == "failed"]:
        return Judgement.failed(Outcome.GATE_FAILED, _summary(failed, "failed"))
    return PASSED


def judge_no_change(reason: str, ignored: Sequence[str], *, must_change: bool, ending: Ending | None) -> Judgement:
    """Decide about an attempt whose gates passed and whose step has changed no file.

    `reason` is why nothing had to change. `ignored` are the files that the agent created and git ignores. `ending` is
    None if no agent ran.
    """
    if reason:
        return PASSED
    if must_change:
        return Judgement.failed(Outcome.NO_CHANGE, describe_no_change(ignored))
    if ending is not None and not ending.usage.turns and not ending.message.strip():
        return Judgement.failed(Outcome.AGENT_ERROR, "the agent ended without a turn, an answer or a change")
    return PASSED


def _summary(gates: Sequence[GateResult], what: str) -> str:
    return "; ".join(f"{gate.name} {what}{f': {gate.summary}' if gate.summary else ''}" for gate in gates)
