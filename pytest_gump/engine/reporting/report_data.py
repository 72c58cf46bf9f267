"""The figures of a run as plain data: what `gump report` prints, and what `--json` gives to machines.

Every total is a sum over all attempts, failed and stopped ones included. The shapes, and the version of the format, are
in `report_schema`.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.records import add_up
from pytest_gump.engine.reporting.because import because
from pytest_gump.engine.reporting.reservations import no_change, of_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gump.agents.base import Tokens
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord, Total
    from pytest_gump.engine.reporting import report_schema as shape
    from pytest_gump.gates.base import GateResult
    from pytest_gump.order import AttemptResult
    from pytest_gump.system.git.changes import ChangedFile


def report_data(record: RunRecord, header: Mapping[str, Any], *, state: str) -> shape.Report:
    """Give the report of a run. `state` is its status (`engine.liveness.run_state`)."""
    change = record.change or {}
    return {
        "schema": 1,
        "run": _run(record, header, state),
        "totals": {
            "steps": len(record.steps),
            "retries": record.retries,
            "escalations": record.escalations,
            "waits": record.waits,
            "failovers": record.failovers,
            "guards": _guards(record),
            "turns_per_attempt": _turns(record),
            "files_changed": change.get("files_changed"),
            "lines_added": change.get("lines_added"),
            "lines_removed": change.get("lines_removed"),
            **_total(record.total),
        },
        "agents": _agents(record),
        "preflight": _preflight(record),
        "steps": [_step(step, record) for step in record.steps.values()],
    }


def _run(record: RunRecord, header: Mapping[str, Any], state: str) -> shape.RunFacts:
    return {
        "id": record.run_id,
        "workflow": record.workflow,
        "source": header.get("source"),
        "spec": record.spec,
        "status": state,
        "reason": record.reason,
        "base": record.base,
        "base_ref": header.get("base_ref"),
        "dirty_base": header.get("dirty_base"),
        "branch": record.branch,
        "head": record.head,
        "branches_left": record.branches_left,
        "checkout_changed": [*record.checkout_changed],
        "unchanged": None if record.finished is None else record.unchanged,
        "started": time_text(record.started),
        "finished": None if record.finished is None else time_text(record.finished),
        "duration_s": round(record.duration_s, 3),
        "resumed": record.resumed,
        "origin": record.origin,
        "max_budget_usd": record.max_budget,
        "applied": record.applied,
        "discarded": record.discarded,
        "replay": bool(header.get("replay", False)),
        "inputs": dict(header.get("inputs", {})),
        "argv": list(header.get("argv", [])),
        "versions": dict(header.get("versions", {})),
    }


def _total(total: Total) -> shape.Sum:
    return {
        "attempts": total.attempts,
        "cost": cost_data(total),
        "tokens": _tokens(total.tokens),
        "turns": total.turns,
        "tool_calls": total.tool_calls,
        "context_tokens": total.context_tokens,
        "duration_s": round(total.duration_s, 3),
    }


def cost_data(total: Total) -> shape.CostSum:
    provenance = "estimated" if total.estimated else "reported"
    return {
        "usd": round(total.cost_usd, 6),
        "provenance": "partly_unknown" if total.unknown else provenance,
        "unknown_attempts": total.unknown,
    }


def _tokens(tokens: Tokens) -> shape.Tokens:
    return {
        "input": tokens.input,
        "cache_read": tokens.cache_read,
        "cache_write": tokens.cache_write,
        "output": tokens.output,
        "reasoning": tokens.reasoning,
        "total": tokens.total,
    }


def _guards(record: RunRecord) -> dict[str, int]:
    """How often each guard stopped an agent; attempts of earlier runs do not count."""
    results = [attempt.result for attempt in record.own if attempt.result is not None]
    return dict(sorted(Counter(result.guard for result in results if result.guard is not None).items()))


def _turns(record: RunRecord) -> shape.Spread | None:
    turns = sorted(attempt.usage.turns for attempt in record.own if attempt.usage is not None and attempt.agent)
    return {"least": turns[0], "median": median(turns), "most": turns[-1]} if turns else None


def _agents(record: RunRecord) -> list[shape.AgentSum]:
    """Sums by agent, in the order in which they first worked."""
    names = dict.fromkeys(attempt.agent for attempt in record.own if attempt.agent is not None)
    sums: list[shape.AgentSum] = []
    for name in names:
        attempts = [attempt for attempt in record.own if attempt.agent == name]
        passed = sum(one.verdict == "passed" for one in attempts)
        sums.append({"agent": name, "passed": passed, **_total(add_up(attempts))})
    return sums


def _preflight(record: RunRecord) -> shape.Preflight | None:
    if record.preflight is None:
        return None
    booked = record.preflight
    return {
        "gates": [_checked(gate) for gate in booked["gates"]],
        "red": booked["red"],
        "reason": booked["reason"],
        "duration_s": booked.get("duration_s"),
    }


def _checked(gate: dict[str, Any]) -> shape.Checked:
    return {
        "name": gate["name"],
        "status": gate["status"],
        "summary": gate["summary"],
        "tests": gate.get("tests"),  # not in runs of an older version
    }


def _step(step: StepRecord, record: RunRecord) -> shape.Step:
    last = step.attempts[-1] if step.attempts else None
    return {
        "path": step.path,
        "mode": step.mode,
        "status": step.status,
        "outcome": str(step.outcome),
        "reason": step.reason,
        "reservations": [*of_step(step)],
        "agent": last.agent if last else None,
        "retries": step.retries,
        **_changes(_changed(last) if last else ()),
        "totals": _total(step.total),
        "attempts": [_attempt(one, record) for one in step.attempts],
    }


def _attempt(one: AttemptRecord, record: RunRecord) -> shape.Ended | shape.Running:
    begun: shape.Begun = {
        "number": one.number,
        "attempt": one.attempt,
        "agent": one.agent,
        "mode": one.mode,
        "entry": one.entry,
        "because": because(one, record),
        "started": time_text(one.started),
        "folder": one.folder,
        "verdict": one.verdict,
        "decision": one.why,
        "session_resumed": one.session_resumed and not (one.result is not None and one.result.session_lost),
        "reused": one.reused,
        "superseded": one.superseded,
    }
    if one.result is None:
        return {**begun, "outcome": "running", "reason": ""}
    return {**begun, **_result(one.result, _changed(one))}


def _changed(one: AttemptRecord) -> Sequence[ChangedFile]:
    """Changes since the step began. A step without an agent has none; its gates check the change of the run."""
    return one.result.changed if one.result is not None and one.mode != "gate" else ()


def _result(result: AttemptResult, changed: Sequence[ChangedFile]) -> shape.Result:
    usage = result.usage
    return {
        "outcome": str(result.outcome),
        "reason": result.reason,
        "model": result.model,
        "cost": {"usd": usage.cost_usd, "provenance": usage.provenance if result.agent else "none"},
        "tokens": _tokens(usage.tokens),
        "turns": usage.turns,
        "tool_calls": usage.tool_calls,
        "tools_failed": result.tool_use.failed,
        "tools_repeated": result.tool_use.repeated,
        "first_write_s": None if result.tool_use.first_write_s is None else round(result.tool_use.first_write_s, 3),
        "context_tokens": usage.context_tokens,
        "duration_s": round(result.timings.total_s, 3),
        "agent_s": round(result.timings.agent_s, 3),
        "gates_s": round(result.timings.gates_s, 3),
        **_changes(changed),
        "gates": [_gate(gate) for gate in result.gates],
        "resets_at": _time_or_none(result.resets_at),
        "guard": result.guard,
        "session": result.session.id if result.session else None,
        "snapshot": result.snapshot,
        "no_change": no_change(result) or None,
        "named_changes": list(result.named_changes),
        "gate_config": list(result.gate_config),
        "notes": list(result.notes),
    }


def _changes(changed: Sequence[ChangedFile]) -> shape.Changes:
    return {
        "files_changed": len(changed),
        "lines_added": sum(change.added or 0 for change in changed),
        "lines_removed": sum(change.removed or 0 for change in changed),
        "files": [
            {"path": change.path, "status": change.status, "added": change.added, "removed": change.removed}
            for change in changed
        ],
    }


def _gate(gate: GateResult) -> shape.Gate:
    return {
        "name": gate.name,
        "status": gate.status,
        "summary": gate.summary,
        "command": gate.command,
        "exit_code": gate.exit_code,
        "duration_s": round(gate.duration_s, 3),
        "tests": gate.tests,
    }


def _time_or_none(seconds: float | None) -> str | None:
    """None too for what no calendar can show: a ledger may hold any number here."""
    return time_text(seconds) if seconds is not None and 0 <= seconds < 2.0**37 else None


def time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
