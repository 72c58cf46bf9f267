"""Facts collected during an attempt, and the result built from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from pytest_gump.agents.streams.resets import sane
from pytest_gump.agents.usage import NOTHING_USED, Usage
from pytest_gump.engine.attempt.handover import Handover
from pytest_gump.engine.attempt.usable_session import kept
from pytest_gump.engine.record.ledger import json_text
from pytest_gump.order import AttemptResult, Outcome, Timings, ToolUse, from_wire, to_wire
from pytest_gump.text import bounded_text, clean_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_gump.agents.base import Task
    from pytest_gump.engine.attempt.agent_phase import AgentRun
    from pytest_gump.engine.attempt.judge import Judgement
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import Order
    from pytest_gump.system.directory import Directory
    from pytest_gump.system.secrets import Secrets

MESSAGE_CHARS: Final = 20_000


@dataclass(slots=True)
class Facts:
    started: float
    """Seconds since the epoch."""
    task: Task | None = None
    run: AgentRun | None = None
    handover: Handover = field(default_factory=Handover)
    gates: tuple[GateResult, ...] = ()
    gates_s: float = 0.0
    named: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    session_lost: bool = False
    leaks: Sequence[str] = ()
    """Places in the agent's files that hold the value of a secret."""
    ignored: Sequence[str] = ()
    """Ignored files that the agent created; looked up only if it changed nothing else."""
    no_change: str = ""


def result_of(order: Order, facts: Facts, judgement: Judgement, total_s: float, notes: Sequence[str]) -> AttemptResult:
    """Return the result without the fields that are read from the tree; `notes` are those on the snapshot."""
    run, handover = facts.run, facts.handover
    ending = run.ending if run is not None else None
    return AttemptResult(
        step=order.step,
        attempt=order.attempt,
        outcome=judgement.outcome,
        reason=judgement.reason,
        agent=order.agent,
        made=None if order.setup_only else order.made,
        timings=Timings(facts.started, total_s, run.duration_s if run else 0.0, facts.gates_s),
        model=ending.model if ending else None,
        final=ending.final if ending else False,
        resets_at=sane(ending.resets_at, facts.started) if ending and judgement.outcome is Outcome.QUOTA else None,
        usage=ending.usage if ending else NOTHING_USED if judgement.outcome is Outcome.CANCELLED else Usage(),
        tool_use=run.tool_use if run else ToolUse(),
        gates=facts.gates,
        guard=judgement.guard,
        session=kept(ending.session if ending else None, order.slot),
        session_lost=facts.session_lost,
        plan=handover.plan,
        verdict=handover.verdict,
        artifact=handover.artifact,
        message=bounded_text(clean_text(ending.message), MESSAGE_CHARS) if ending else "",
        no_change=facts.no_change,
        gates_due=order.gates_due and judgement.outcome is Outcome.PASSED,
        named_changes=tuple(facts.named),
        notes=(*facts.notes, *notes, *handover.notes, *(run.notes if run else ())),
    )


def with_agent_part(result: AttemptResult, part: AttemptResult) -> AttemptResult:
    """Return the result of the gates, with what the agent's part of the attempt has left: files and conversation."""
    return replace(
        result,
        snapshot=part.snapshot,
        session=part.session,
        message=part.message,
        gate_config=part.gate_config,
        named_changes=(*part.named_changes, *result.named_changes),
    )


def masked_result(result: AttemptResult, secrets: Secrets) -> AttemptResult:
    """Return the result with secrets masked and with the types that readers of the ledger expect.

    The values come from an adapter, which may have used other types.

    Raises:
        ValueError: A value has a type that cannot be converted.
    """
    return from_wire(AttemptResult, secrets.mask(to_wire(result)))


def write_result(files: Directory, result: AttemptResult) -> None:
    """Write `result.json` into the attempt's folder."""
    text = json_text(to_wire(replace(result, scratch=None)), indent=2)
    files.write("result.json", f"{text}\n".encode())
