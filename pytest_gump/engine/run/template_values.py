"""What templates can say about a run so far: `{steps.REF.FIELD}` and `{run.FIELD}`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_gump.workflow.path import StepPath

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pytest_gump.engine.record.records import AttemptRecord, RunRecord, StepRecord
    from pytest_gump.order import AttemptResult


class State:
    """A view of the run record for one asking step.

    `foreach` holds the static paths of the foreach groups: a step inside one has an instance for each plan item. A
    reference from inside the same foreach means the asker's own item; from outside, all items, in plan order.
    """

    def __init__(self, record: RunRecord, foreach: Collection[str], diff: Callable[[AttemptRecord], str]) -> None:
        self._record = record
        self._foreach = frozenset(foreach)
        self._diff = diff

    def step(self, static: str, field: str, asker: StepPath) -> str:
        """The value of a field of the step with this static path, for `asker`; empty when there is none yet."""
        values = [self._value(record, field) for record in self._instances(static, asker)]
        separator = "\n\n" if field == "output" else ", "
        return separator.join(value for value in values if value)

    def run(self, field: str) -> str:
        """The value of a field of the run so far."""
        record, total = self._record, self._record.total
        values = {
            "id": record.run_id,
            "workflow": record.workflow,
            "spec": record.spec,
            "status": record.status,
            "cost": f"{total.cost_usd:.4f}",
            "duration": f"{record.duration_s:.0f}",
            "tokens_in": str(total.tokens.read),
            "tokens_out": str(total.tokens.written),
            "retries": str(record.retries),
        }
        return values[field]

    def _instances(self, static: str, asker: StepPath) -> Iterable[StepRecord]:
        names = tuple(static.split("::"))
        shared = sum(
            "::".join(names[:depth]) in self._foreach and names[:depth] == asker.names[:depth]
            for depth in range(1, len(names))
        )
        for text, record in self._record.steps.items():
            path = StepPath.parse(text)
            if path.names == names and path.items[:shared] == asker.items[:shared]:
                yield record

    def _value(self, record: StepRecord, field: str) -> str:
        valid = (one for one in reversed(record.attempts) if not one.superseded)
        attempt = next((one for one in valid if one.result is not None), None)
        if attempt is None or attempt.result is None:
            return ""
        result = attempt.result
        total = record.total
        match field:
            case "output":
                return self._output(attempt, result)
            case "files":
                return ", ".join(change.path for change in result.changed)
            case "status":
                return _status(record)
            case "session_id":
                return result.session.id if result.session else ""
            case "agent":
                return result.agent or ""
            case "cost":
                return f"{total.cost_usd:.4f}"
            case "turns":
                return str(total.turns)
            case "duration":
                return f"{total.duration_s:.0f}"
            case "retries":
                return str(sum(not attempt.is_repeated for attempt in record.attempts) - 1)
            case "tokens_in":
                return str(total.tokens.read)
            case _:
                return str(total.tokens.written)

    def _output(self, attempt: AttemptRecord, result: AttemptResult) -> str:
        if result.plan is not None:
            items = [{"name": i.name, "description": i.description, "files": list(i.files)} for i in result.plan]
            return json.dumps(items, indent=2, ensure_ascii=False)
        if result.verdict is not None:
            verdict = {"pass": result.verdict.passed, "comment": result.verdict.comment}
            return json.dumps(verdict, indent=2, ensure_ascii=False)
        if result.artifact is not None:
            return result.artifact
        return self._diff(attempt)


def _status(record: StepRecord) -> str:
    """As it was at the moment: while a run is taken up, later attempts do not count yet."""
    newest = record.newest_valid
    return newest.verdict if newest is not None and newest.verdict in {"passed", "failed"} else "running"
