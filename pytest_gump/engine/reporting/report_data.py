"""The figures of a run as plain data, for `gump report` and its `--json` output.

Each total is a sum over all attempts, including failed and stopped ones. `report_schema` holds the shapes and the
version of the format.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from pytest_gump.engine.record.event_schema import CHANGE
from pytest_gump.engine.record.records import add_up, results
from pytest_gump.engine.reporting import report_schema as shape
from pytest_gump.engine.reporting.because import because
from pytest_gump.engine.reporting.notices import no_change, of_step
from pytest_gump.engine.reporting.shapes import time_text
from pytest_gump.units import USD_DIGITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_gump.agents.usage import Total
    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.engine.reporting.shapes import Data
    from pytest_gump.order import AttemptResult, ToolUse
    from pytest_gump.system.git.changes import ChangedFile


def report_data(record: RunRecord, header: Mapping[str, Any], *, state: str) -> Data:
    """Return the report of a run. `state` is its status (`engine.record.liveness.run_state`)."""
    change = record.change or dict.fromkeys(CHANGE)
    counts = {
        "steps": len(record.steps),
        "guards": _guards(record),
        **stalls_data(record.tool_use),
        "turns_per_attempt": _turns(record),
    }
    return {
        "schema": shape.SCHEMA,
        "run": _run(record, header, state),
        "totals": shape.TOTALS.fill(record, **counts, **change, **_total(record.total)),
        "agents": _agents(record),
        "preflight": _preflight(record),
        "steps": [_step(step, record) for step in record.steps.values()],
        "approvals": [shape.APPROVAL.fill(answer, at=time_text(answer.at)) for answer in record.approvals.answers],
    }


def _run(record: RunRecord, header: Mapping[str, Any], state: str) -> Data:
    return shape.RUN.fill(
        record,
        id=record.run_id,
        source=header.get("source"),
        status=state,
        base_ref=header.get("base_ref"),
        dirty_base=header.get("dirty_base"),
        unchanged=None if record.finished is None else record.unchanged,
        finished=None if record.finished is None else time_text(record.finished),
        max_budget_usd=record.max_budget,
        replay=bool(header.get("replay", False)),
        inputs=dict(header.get("inputs", {})),
        argv=list(header.get("argv", [])),
        versions=dict(header.get("versions", {})),
    )


def _total(total: Total) -> Data:
    return shape.SUM.fill(total, cost=cost_data(total))


def cost_data(total: Total) -> Data:
    provenance = "estimated" if total.estimated else "reported"
    return {
        "usd": round(total.cost_usd, USD_DIGITS),
        "provenance": "partly_unknown" if total.unknown else provenance,
        "unknown_attempts": total.unknown,
    }


def _guards(record: RunRecord) -> dict[str, int]:
    """Return how often each guard stopped an agent; attempts reused from other runs do not count."""
    guards = (result.guard for result in results(record.own))
    return dict(sorted(Counter(guard for guard in guards if guard is not None).items()))


def stalls_data(use: ToolUse) -> Data:
    """Return what the turns did, and where the agent made no progress."""
    return {
        "tools_failed": use.failed,
        "tools_repeated": use.repeated,
        "tools_corrected": use.corrected,
        "failure_loops": use.failure_loops,
        "turn_kinds": shape.TURN_KINDS.fill(use.kinds),
        "longest_silence_s": round(use.longest_silence_s, 3),
    }


def _turns(record: RunRecord) -> Data | None:
    turns = sorted(attempt.usage.turns for attempt in record.own if attempt.usage is not None and attempt.agent)
    return {"least": turns[0], "median": median(turns), "most": turns[-1]} if turns else None


def _agents(record: RunRecord) -> list[Data]:
    """Return the sums by agent, in the order of their first attempts."""
    names = dict.fromkeys(attempt.agent for attempt in record.own if attempt.agent is not None)
    by_agent = {name: [attempt for attempt in record.own if attempt.agent == name] for name in names}
    return [
        {"agent": name, "passed": sum(has_passed(attempt, record) for attempt in attempts), **_total(add_up(attempts))}
        for name, attempts in by_agent.items()
    ]


def has_passed(attempt: AttemptRecord, record: RunRecord) -> bool:
    """True if an attempt passed; for the first part of a split attempt, if its gates have passed."""
    if attempt.verdict != "approved":
        return attempt.verdict == "passed"
    parts = record.steps[attempt.step].attempts
    return any(part.attempt == attempt.attempt and part.verdict == "passed" for part in parts)


def _preflight(record: RunRecord) -> Data | None:
    """Return the preflight. Fields that an older version did not record are None."""
    if record.preflight is None:
        return None
    gates = [{name: gate.get(name) for name in shape.CHECKED.fields} for gate in record.preflight["gates"]]
    return {name: record.preflight.get(name) for name in shape.PREFLIGHT.fields} | {"gates": gates}


def _step(step: StepRecord, record: RunRecord) -> Data:
    last = step.attempts[-1] if step.attempts else None
    return shape.STEP.fill(
        step,
        outcome=str(step.outcome),
        agent=step.agent,
        reservations=[*of_step(step)],
        **_changes(_changed(last) if last else ()),
        totals=_total(step.total),
        attempts=[_attempt(attempt, record) for attempt in step.attempts],
    )


def _attempt(attempt: AttemptRecord, record: RunRecord) -> Data:
    result = attempt.result
    begun = shape.BEGUN.fill(
        attempt,
        because=because(attempt, record),
        decision=attempt.why,
        session_resumed=attempt.session_resumed and not (result is not None and result.session_lost),
    )
    if result is None:
        return {**begun, "outcome": "running", "reason": ""}
    data = {**begun, **_result(result, _changed(attempt))}
    return {**data, "outcome": "awaiting"} if attempt.verdict == "awaiting" else data


def _changed(attempt: AttemptRecord) -> Sequence[ChangedFile]:
    """Return the changes since the step began. A step without an agent has none: its gates check the run's changes."""
    return attempt.result.changed if attempt.result is not None and attempt.mode != "gate" else ()


def _result(result: AttemptResult, changed: Sequence[ChangedFile]) -> Data:
    usage, tool_use = result.usage, result.tool_use
    return shape.RESULT.fill(
        result,
        usage,
        tool_use,
        result.timings,
        outcome=str(result.outcome),
        cost={"usd": usage.cost_usd, "provenance": usage.provenance if result.agent else "none"},
        **stalls_data(tool_use),
        first_write_s=None if tool_use.first_write_s is None else round(tool_use.first_write_s, 3),
        duration_s=round(result.timings.total_s, 3),
        **_changes(changed),
        resets_at=_time_or_none(result.resets_at),
        session=result.session.id if result.session else None,
        no_change=no_change(result) or None,
    )


def _changes(changed: Sequence[ChangedFile]) -> Data:
    return {
        "files_changed": len(changed),
        "lines_added": sum(change.added or 0 for change in changed),
        "lines_removed": sum(change.removed or 0 for change in changed),
        "files": [shape.FILE.fill(change) for change in changed],
    }


def _time_or_none(seconds: float | None) -> str | None:
    """Return the time as text; None for a missing time, or for one that `datetime` cannot represent."""
    return time_text(seconds) if seconds is not None and 0 <= seconds < 2.0**37 else None
